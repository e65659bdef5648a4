//! How many lines of code there are.
//!
//! A line counts if code stands on it: no blank line, comment, documentation or test.

use std::{collections::BTreeSet, io, path::Path};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, File, Item};

/// The lines of code of all Rust files below a folder.
///
/// # Errors
/// A file that cannot be read, or is no Rust.
pub fn of(folder: &Path) -> io::Result<usize> {
    let sources = crate::files::code_files(folder)?;
    Ok(sources.iter().map(|source| code(&source.file)).sum())
}

/// The lines of code of one file.
pub fn code(file: &File) -> usize {
    let mut lines = BTreeSet::new();
    for item in &file.items {
        if !is_test(item) {
            count(item.to_token_stream(), &mut lines);
        }
    }
    lines.len()
}

fn is_test(item: &Item) -> bool {
    let attributes: &[Attribute] = match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    };
    attributes.iter().any(crate::files::is_test)
}

fn count(tokens: TokenStream, lines: &mut BTreeSet<usize>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                // An attribute: documentation is one as well, and no code.
                if matches!(tokens.peek(), Some(TokenTree::Punct(mark)) if mark.as_char() == '!') {
                    tokens.next();
                }
                if let Some(TokenTree::Group(group)) = tokens.next()
                    && !is_documentation(&group.stream())
                {
                    lines.insert(group.span_open().start().line);
                    lines.insert(group.span_close().start().line);
                    count(group.stream(), lines);
                }
            }
            TokenTree::Group(group) => {
                lines.insert(group.span_open().start().line);
                lines.insert(group.span_close().start().line);
                count(group.stream(), lines);
            }
            TokenTree::Literal(literal) => {
                let span = literal.span();
                lines.extend(span.start().line..=span.end().line);
            }
            other => {
                lines.insert(other.span().start().line);
            }
        }
    }
}

fn is_documentation(attribute: &TokenStream) -> bool {
    attribute
        .clone()
        .into_iter()
        .next()
        .is_some_and(|first| matches!(first, TokenTree::Ident(ident) if ident == "doc"))
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn only_code_is_counted() {
        let text = "\
            //! A file.\n\
            \n\
            use a::{\n    b, // for this\n    c,\n};\n\
            /// Of no worth.\n\
            #[inline]\n\
            fn f() {\n    // Nothing.\n    let text = \"one\n    two\";\n}\n\
            #[cfg(test)]\nmod tests {\n    fn g() {}\n}\n";
        // The `use` has four lines, the attribute one, the function four.
        assert_eq!(code(&syn::parse_file(text).unwrap()), 9);
    }
}
