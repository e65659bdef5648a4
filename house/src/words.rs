//! How comments read.

use std::fmt;

use proc_macro2::{TokenStream, TokenTree};

/// The most columns of a line that is a comment.
pub const COLUMNS: usize = 100;

/// Words that are no subject of a comment: they leave open which noun of the domain is meant.
const NO_SUBJECTS: [&str; 5] = ["Who", "Whoever", "Somebody", "What", "It"];

/// The faults of comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The line is longer than [`COLUMNS`].
    Long,
    /// The comment begins with a word that is no subject.
    Subject,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Long => "a comment of more than 100 columns",
            Self::Subject => "a comment whose subject is no noun of the domain",
        })
    }
}

/// The faults of a Rust file, each with its line from 1.
pub fn faults(text: &str) -> Vec<(usize, Fault)> {
    let mut faults = Vec::new();
    let mut inside = false;
    for (number, line) in (1..).zip(text.lines()) {
        let Some(comment) = comment(line) else {
            inside = false;
            continue;
        };
        if line.chars().count() > COLUMNS && !holds_a_link(comment) {
            faults.push((number, Fault::Long));
        }
        if !std::mem::replace(&mut inside, !comment.is_empty()) && has_no_subject(comment) {
            faults.push((number, Fault::Subject));
        }
    }
    faults
}

/// The words of a file's code, each with its line; comments and texts are left out.
#[derive(Debug)]
pub struct Code(Vec<(String, usize)>);

impl Code {
    /// Of this text.
    ///
    /// # Errors
    /// Not Rust.
    pub fn of(text: &str) -> syn::Result<Self> {
        fn flat(tokens: TokenStream, all: &mut Vec<(String, usize)>) {
            for token in tokens {
                match token {
                    TokenTree::Group(group) => flat(group.stream(), all),
                    TokenTree::Literal(_) => {}
                    other => all.push((other.to_string(), other.span().start().line)),
                }
            }
        }
        let mut words = Vec::new();
        flat(text.parse().map_err(syn::Error::from)?, &mut words);
        Ok(Self(words))
    }

    /// The lines on which a name stands: an identifier, a path like `Task::Keep`, or several words
    /// like `mod keep`.
    pub fn lines_with(&self, name: &str) -> Vec<usize> {
        let mut wanted = Vec::new();
        for word in name.split(' ') {
            for (at, part) in word.split("::").enumerate() {
                if at > 0 {
                    wanted.extend([":", ":"]);
                }
                wanted.push(part);
            }
        }
        let found = self.0.windows(wanted.len()).filter(|window| {
            let names = window.iter().map(|(word, _)| word.as_str());
            names.eq(wanted.iter().copied())
        });
        found.map(|window| window[0].1).collect()
    }
}

/// The words of a line that is nothing but a comment.
fn comment(line: &str) -> Option<&str> {
    let comment = line.trim_start().strip_prefix("//")?;
    Some(comment.trim_start_matches(['/', '!']).trim())
}

/// A link has no place where it could be broken.
fn holds_a_link(comment: &str) -> bool {
    comment.contains("://")
}

fn has_no_subject(comment: &str) -> bool {
    let first = comment.split_whitespace().next().unwrap_or("");
    // A question, a quotation or a word of code begins otherwise.
    NO_SUBJECTS.contains(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_have_a_hundred_columns() {
        let line = |columns: usize| format!("// {}", "é".repeat(columns - 3));
        assert_eq!(faults(&line(100)), []);
        assert_eq!(faults(&line(101)), [(1, Fault::Long)]);
        let code = format!("let x = \"{}\"; // y", "z".repeat(100));
        assert_eq!(faults(&code), [], "rustfmt has its own rule for code");
    }

    #[test]
    fn a_word_is_named_by_code_not_by_a_comment() {
        let named = |text: &str| !Code::of(text).unwrap().lines_with("Hub").is_empty();
        assert!(named("fn f() { Hub::new() }"));
        assert!(!named("// Hub\nfn f() { g(\"Hub\", Hubs) }"));
    }

    #[test]
    fn a_name_is_found_in_code_alone() {
        let text = "// Keep\nfn f() {\n    g(Task::Keep, \"Keep\");\n}\n";
        let code = Code::of(text).unwrap();
        assert_eq!(code.lines_with("Keep"), [3]);
        assert_eq!(code.lines_with("Task::Keep"), [3]);
        assert_eq!(code.lines_with("Ask::Keep"), []);
    }

    #[test]
    fn only_the_beginning_of_a_comment_has_a_subject() {
        let text = "/// It is.\nfn f() {}\n// A reader says\n// It all.\n//\n// Who reads.\n";
        assert_eq!(faults(text), [(1, Fault::Subject), (6, Fault::Subject)]);
        assert_eq!(faults("/// Items are here.\n"), []);
    }
}
