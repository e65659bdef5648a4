//! Which file of a crate imports which.
//!
//! A file is a module. An import is a path that begins with `crate`, `super`, `self` or the name of
//! a child: in a `use`, or anywhere else in the code. An item that a module only re-exports counts
//! as an import of the module that defines the item. Code behind `#[cfg(test)]` is left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use crate::files;

use syn::{
    File, Item, ItemMod, ItemUse, UseTree, Visibility,
    visit::{self, Visit},
};

/// A module's path inside its crate; empty for `lib.rs`.
pub type Module = Vec<String>;

/// The modules of one crate and what each imports.
#[derive(Debug, Default)]
pub struct Imports {
    /// By module, the modules whose items it names.
    pub edges: BTreeMap<Module, BTreeSet<Module>>,
}

impl Imports {
    /// Of the crate with its sources in this folder. Binaries beside a library are one crate with
    /// it.
    ///
    /// # Errors
    /// A file that cannot be read, or is no Rust.
    pub fn of(src: &Path) -> io::Result<Self> {
        let sources = files::code_files(src)?.into_iter().map(|source| {
            let relative = source.path.strip_prefix(src).expect("found below it");
            (module_of(relative), source.file)
        });
        let files: BTreeMap<Module, File> = sources.collect();
        let modules: BTreeSet<Module> = files.keys().cloned().collect();
        let exports = files.iter().map(|(module, file)| {
            let names = re_exports(file).map(|(name, path)| (name, absolute(module, &path)));
            (module.clone(), names.collect::<BTreeMap<_, _>>())
        });
        let names = Names {
            modules,
            exports: exports.collect(),
        };
        let edges = files.iter().map(|(module, file)| {
            let mut found = Paths::default();
            found.visit_file(file);
            let targets = found.paths.iter().filter_map(|path| {
                let target = names.resolve(absolute_in(&names.modules, module, path)?);
                (target != *module).then_some(target)
            });
            (module.clone(), targets.collect())
        });
        Ok(Self {
            edges: edges.collect(),
        })
    }

    /// The same where each of these modules, such as `hub::room`, is one with all that is below it.
    #[must_use]
    pub fn joined(&self, modules: &[&str]) -> Self {
        let modules = modules.iter().map(|module| module.split("::").collect());
        let modules: Vec<Vec<&str>> = modules.collect();
        let whole = |module: &Module| {
            let within = |whole: &&Vec<&str>| {
                module.len() >= whole.len() && module.iter().zip(*whole).all(|(a, b)| a == b)
            };
            let whole = modules.iter().find(within);
            whole.map_or_else(|| module.clone(), |whole| module[..whole.len()].to_vec())
        };
        let mut edges: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
        for (from, targets) in &self.edges {
            let from = whole(from);
            let targets = targets.iter().map(whole).filter(|target| *target != from);
            edges.entry(from.clone()).or_default().extend(targets);
        }
        Self { edges }
    }

    /// Groups of modules that all import each other, directly or by way of others.
    pub fn circles(&self) -> Vec<Vec<Module>> {
        let reached: BTreeMap<&Module, BTreeSet<&Module>> = self
            .edges
            .keys()
            .map(|module| (module, self.reached_from(module)))
            .collect();
        let mut circles: Vec<Vec<Module>> = Vec::new();
        for module in self.edges.keys() {
            if circles.iter().any(|circle| circle.contains(module)) {
                continue;
            }
            let circle: Vec<Module> = self
                .edges
                .keys()
                .filter(|other| reached[module].contains(other) && reached[other].contains(module))
                .cloned()
                .collect();
            if circle.len() > 1 {
                circles.push(circle);
            }
        }
        circles
    }

    fn reached_from(&self, module: &Module) -> BTreeSet<&Module> {
        let (mut reached, mut next) = (BTreeSet::new(), vec![module]);
        while let Some(module) = next.pop() {
            for target in self.edges.get(module).into_iter().flatten() {
                if reached.insert(target) {
                    next.push(target);
                }
            }
        }
        reached
    }

    /// Imports from one of these children of `parent` into another.
    pub fn between<'a>(
        &'a self,
        parent: &[&str],
        children: &[&str],
    ) -> Vec<(&'a Module, &'a Module)> {
        let child_of = |module: &Module| {
            let name = module.get(parent.len())?;
            let below = module.iter().zip(parent).all(|(one, other)| one == other);
            (below && children.contains(&name.as_str())).then(|| name.clone())
        };
        let all = self
            .edges
            .iter()
            .flat_map(|(from, targets)| targets.iter().map(move |to| (from, to)));
        all.filter(|(from, to)| match (child_of(from), child_of(to)) {
            (Some(from), Some(to)) => from != to,
            _ => false,
        })
        .collect()
    }
}

/// The modules of a crate.
struct Names {
    modules: BTreeSet<Module>,
    /// By module, the names that it re-exports and what they are.
    exports: BTreeMap<Module, BTreeMap<String, Vec<String>>>,
}

impl Names {
    /// The module that defines what a path names.
    fn resolve(&self, mut path: Vec<String>) -> Module {
        // Each re-export leads elsewhere; a crate has no endless chain of them.
        for _ in 0..8 {
            let module = self.module_in(&path);
            let export = path
                .get(module.len())
                .and_then(|name| self.exports.get(&module)?.get(name));
            match export {
                Some(target) => path = target.clone(),
                None => return module,
            }
        }
        self.module_in(&path)
    }

    /// The longest beginning that is a module.
    fn module_in(&self, path: &[String]) -> Module {
        (0..=path.len())
            .rev()
            .map(|length| path[..length].to_vec())
            .find(|module| self.modules.contains(module))
            .unwrap_or_default()
    }
}

fn module_of(relative: &Path) -> Module {
    let mut module: Module = relative
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    module
}

fn absolute(module: &Module, path: &[String]) -> Vec<String> {
    let mut base = module.clone();
    for (at, part) in path.iter().enumerate() {
        match part.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                base.pop();
            }
            _ => {
                base.extend_from_slice(&path[at..]);
                break;
            }
        }
    }
    base
}

/// None for a path that leads out of the crate.
fn absolute_in(
    modules: &BTreeSet<Module>,
    module: &Module,
    path: &[String],
) -> Option<Vec<String>> {
    let first = path.first()?;
    let whole = absolute(module, path);
    if matches!(first.as_str(), "crate" | "self" | "super") {
        return Some(whole);
    }
    let child = [module.as_slice(), std::slice::from_ref(first)].concat();
    modules.contains(&child).then_some(whole)
}

fn re_exports(file: &File) -> impl Iterator<Item = (String, Vec<String>)> {
    let uses = file.items.iter().filter_map(|item| match item {
        Item::Use(item) if !matches!(item.vis, Visibility::Inherited) => Some(item),
        _ => None,
    });
    uses.flat_map(|item| {
        let mut all = Vec::new();
        flatten(&item.tree, Vec::new(), &mut all);
        all
    })
}

/// All names of a `use`, each with its whole path.
fn flatten(tree: &UseTree, mut path: Vec<String>, all: &mut Vec<(String, Vec<String>)>) {
    match tree {
        UseTree::Path(part) => {
            path.push(part.ident.to_string());
            flatten(&part.tree, path, all);
        }
        UseTree::Name(name) if name.ident == "self" => {
            all.push((path.last().cloned().unwrap_or_default(), path));
        }
        UseTree::Name(name) => {
            path.push(name.ident.to_string());
            all.push((name.ident.to_string(), path));
        }
        UseTree::Rename(name) => {
            path.push(name.ident.to_string());
            all.push((name.rename.to_string(), path));
        }
        UseTree::Glob(_) => all.push(("*".to_owned(), path)),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, path.clone(), all);
            }
        }
    }
}

#[derive(Default)]
struct Paths {
    paths: Vec<Vec<String>>,
    /// How many modules inside the file the place is in.
    inside: usize,
}

impl Paths {
    fn push(&mut self, mut path: Vec<String>) {
        let out = path.iter().take(self.inside);
        let out = out.take_while(|part| *part == "super").count();
        if out > 0 {
            path.splice(..out, ["self".to_owned()]);
        }
        self.paths.push(path);
    }
}

impl<'ast> Visit<'ast> for Paths {
    /// How far an item is seen is no import.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !item.attrs.iter().any(files::is_test) {
            self.inside += 1;
            visit::visit_item_mod(self, item);
            self.inside -= 1;
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let mut all = Vec::new();
        flatten(&item.tree, Vec::new(), &mut all);
        // A name that is only re-exported is imported by its users.
        if !item.attrs.iter().any(files::is_test) && matches!(item.vis, Visibility::Inherited) {
            all.into_iter().for_each(|(_, path)| self.push(path));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let parts = path.segments.iter().map(|part| part.ident.to_string());
            self.push(parts.collect());
        }
        visit::visit_path(self, path);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn crate_of(files: &[(&str, &str)], name: &str) -> Imports {
        let folder = std::env::temp_dir().join(format!("chat-house-{}-{name}", std::process::id()));
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let imports = Imports::of(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        imports
    }

    fn module(path: &str) -> Module {
        path.split("::").map(str::to_owned).collect()
    }

    #[test]
    fn a_module_inside_a_file_imports_from_the_file() {
        let text = "mod of { use super::X; use super::super::b::B; } pub struct X;";
        let found = crate_of(
            &[("lib.rs", "mod a; mod b;"), ("a.rs", text), ("b.rs", "")],
            "inside",
        );
        let name = |name: &str| vec![name.to_owned()];
        assert_eq!(found.edges[&name("a")], [name("b")].into());
    }

    #[test]
    fn a_machine_is_one_with_its_files() {
        let found = crate_of(
            &[
                ("lib.rs", "mod room; mod turn;"),
                (
                    "room/mod.rs",
                    "mod load; use self::load::Load; pub struct R;",
                ),
                (
                    "room/load.rs",
                    "use super::R; use crate::turn::T; pub struct Load;",
                ),
                ("turn.rs", "pub struct T; use crate::room::R;"),
            ],
            "joined",
        );
        assert_eq!(found.circles()[0].len(), 3);
        let joined = found.joined(&["room"]).circles();
        let name = |name: &str| vec![name.to_owned()];
        assert_eq!(joined, [[name("room"), name("turn")]]);
    }

    #[test]
    fn a_circle_is_found_in_uses_and_in_code() {
        let imports = crate_of(
            &[
                ("lib.rs", "mod a; mod b; mod c;"),
                ("a.rs", "use crate::b::B; pub struct A;"),
                ("b/mod.rs", "mod inner; pub use self::inner::B;"),
                ("b/inner.rs", "pub struct B; fn f() { crate::c::g() }"),
                ("c.rs", "pub fn g() { let _ = super::a::A; }"),
            ],
            "circle",
        );
        let circle = vec![module("a"), module("b::inner"), module("c")];
        assert_eq!(imports.circles(), [circle]);
    }

    #[test]
    fn a_child_that_needs_its_parent_is_a_circle_only_if_the_parent_needs_it_too() {
        let child = ("m/c.rs", "use super::P; pub struct C;");
        let alone = ("m/mod.rs", "mod c; pub use self::c::C; pub struct P;");
        let both = (
            "m/mod.rs",
            "mod c; use self::c::C; pub struct P; type D = C;",
        );
        let lib = ("lib.rs", "mod m;");
        assert!(crate_of(&[lib, alone, child], "alone").circles().is_empty());
        assert_eq!(crate_of(&[lib, both, child], "both").circles().len(), 1);
    }

    #[test]
    fn tests_and_other_crates_are_left_out() {
        let imports = crate_of(
            &[
                ("lib.rs", "mod a; mod b;"),
                (
                    "a.rs",
                    "use b::X; #[cfg(test)] mod tests { use crate::b::B; }",
                ),
                ("b.rs", "use super::a::A; pub struct B;"),
            ],
            "left_out",
        );
        assert!(imports.edges[&module("a")].is_empty());
        assert_eq!(imports.circles().len(), 0);
    }

    #[test]
    fn siblings_that_name_each_other_are_told() {
        let imports = crate_of(
            &[
                ("lib.rs", "mod hub;"),
                ("hub/mod.rs", "mod room; mod sessions; mod io;"),
                ("hub/room/mod.rs", "mod load;"),
                ("hub/room/load.rs", "use crate::hub::{io::Io, sessions::S};"),
                ("hub/sessions.rs", "pub struct S;"),
                ("hub/io.rs", "pub struct Io;"),
            ],
            "siblings",
        );
        let found = imports.between(&["hub"], &["room", "sessions"]);
        assert_eq!(
            found,
            [(&module("hub::room::load"), &module("hub::sessions"))]
        );
    }
}
