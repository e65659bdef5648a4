//! Pictures: lines over a logarithmic axis, as SVG.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 60.0;
const COLOURS: [&str; 8] = [
    "#555555", "#999999", "#c0392b", "#2980b9", "#27ae60", "#8e44ad", "#d35400", "#16a085",
];

/// A picture of how something grows.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// Its heading.
    pub title: String,
    /// The horizontal axis, logarithmic.
    pub x: String,
    /// The vertical axis, from 0.
    pub y: String,
    /// Each line's name and points.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
}

impl Lines {
    /// The picture.
    pub fn to_svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let low = points().map(|p| p.0).fold(f64::MAX, f64::min).max(1e-9);
        let high = points().map(|p| p.0).fold(low, f64::max);
        let top = points().map(|p| p.1).fold(0.0, f64::max).max(1e-9);
        let step = nice(top / 5.0);
        let top = (top / step).ceil() * step;
        let span = (high / low).ln().max(1e-9);
        let x = |value: f64| LEFT + (value / low).ln() / span * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);

        let mut svg = head(&self.title);
        let mut value = 0.0;
        while value <= top + step / 2.0 {
            let at = y(value);
            line(&mut svg, (LEFT, at), (WIDTH - RIGHT, at), "#dddddd");
            text(&mut svg, LEFT - 8.0, at + 4.0, "end", &short(value));
            value += step;
        }
        let mut all: Vec<f64> = points().map(|p| p.0).collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        for value in all {
            let at = x(value);
            text(
                &mut svg,
                at,
                HEIGHT - BOTTOM + 18.0,
                "middle",
                &short(value),
            );
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        text(&mut svg, middle, HEIGHT - 14.0, "middle", &self.x);
        text(&mut svg, LEFT, TOP - 12.0, "start", &self.y);
        for (index, (name, points)) in self.lines.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let path: Vec<String> = points
                .iter()
                .map(|p| format!("{:.1},{:.1}", x(p.0), y(p.1)))
                .collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join(" ")
            );
            for p in points {
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                    x(p.0),
                    y(p.1)
                );
            }
            let at = TOP + 18.0 * index as f64;
            let right = WIDTH - RIGHT + 12.0;
            line(&mut svg, (right, at), (right + 20.0, at), colour);
            text(&mut svg, right + 26.0, at + 4.0, "start", name);
        }
        svg + "</svg>\n"
    }
}

/// A picture of bars side by side: each group's name and values, one for each name of `series`;
/// none is left out.
#[derive(Clone, Debug, Default)]
pub struct Bars {
    /// Its heading.
    pub title: String,
    /// The vertical axis, from 0.
    pub y: String,
    /// The bars of a group.
    pub series: Vec<String>,
    /// The groups.
    pub groups: Vec<(String, Vec<Option<f64>>)>,
}

impl Bars {
    /// The picture.
    pub fn to_svg(&self) -> String {
        let values = || self.groups.iter().flat_map(|(_, v)| v).flatten();
        let top = values().copied().fold(0.0, f64::max).max(1e-9);
        let step = nice(top / 5.0);
        let top = (top / step).ceil() * step;
        let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
        let mut svg = head(&self.title);
        let mut value = 0.0;
        while value <= top + step / 2.0 {
            let at = y(value);
            line(&mut svg, (LEFT, at), (WIDTH - RIGHT, at), "#dddddd");
            text(&mut svg, LEFT - 8.0, at + 4.0, "end", &short(value));
            value += step;
        }
        text(&mut svg, LEFT, TOP - 12.0, "start", &self.y);
        let group = (WIDTH - LEFT - RIGHT) / self.groups.len().max(1) as f64;
        let bar = group * 0.85 / self.series.len().max(1) as f64;
        for (index, (name, values)) in self.groups.iter().enumerate() {
            let left = LEFT + group * index as f64;
            let below = HEIGHT - BOTTOM + 18.0;
            text(&mut svg, left + group / 2.0, below, "middle", name);
            for (which, value) in values.iter().enumerate() {
                let Some(value) = value else { continue };
                let _ = writeln!(
                    svg,
                    "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"/>",
                    left + group * 0.075 + bar * which as f64,
                    y(*value),
                    bar * 0.9,
                    HEIGHT - BOTTOM - y(*value),
                    COLOURS[which % COLOURS.len()]
                );
            }
        }
        for (index, name) in self.series.iter().enumerate() {
            let at = TOP + 18.0 * index as f64;
            let right = WIDTH - RIGHT + 12.0;
            let colour = COLOURS[index % COLOURS.len()];
            line(&mut svg, (right, at), (right + 20.0, at), colour);
            text(&mut svg, right + 26.0, at + 4.0, "start", name);
        }
        svg + "</svg>\n"
    }
}

fn head(title: &str) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    text(&mut svg, LEFT, 22.0, "start", title);
    svg
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-width=\"2\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}

/// 1, 2 or 5 times a power of ten, not below `step`.
fn nice(step: f64) -> f64 {
    let ten = 10f64.powf(step.log10().floor());
    let found = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * ten);
    found.into_iter().find(|n| *n >= step).unwrap_or(step)
}

/// A number as briefly as it can be read.
pub fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1e6 => format!("{:.3}M", value / 1e6)
            .replace(".000M", "M")
            .replace("00M", "M"),
        v if v >= 1e4 => format!("{:.1}k", value / 1e3).replace(".0k", "k"),
        v if v >= 100.0 || v == v.trunc() => format!("{value:.0}"),
        v if v >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_brief_and_steps_round() {
        let shown = [0.0, 0.85, 1.25, 100.4, 19_000.0, 1_000_000.0, 6_543_210.0].map(short);
        assert_eq!(shown, ["0", "0.850", "1.2", "100", "19k", "1M", "6.543M"]);
        assert_eq!([nice(0.03), nice(7.0), nice(1.0)], [0.05, 10.0, 1.0]);
    }

    #[test]
    fn a_picture_holds_its_names_and_points() {
        let lines = Lines {
            title: "a < b".to_owned(),
            x: "members".to_owned(),
            y: "ns".to_owned(),
            lines: vec![("floor".to_owned(), vec![(10.0, 1.0), (1_000.0, 2.0)])],
        };
        let svg = lines.to_svg();
        assert!(svg.contains("a &lt; b") && svg.contains(">floor<"));
        assert_eq!(svg.matches("<circle").count(), 2);
    }
}
