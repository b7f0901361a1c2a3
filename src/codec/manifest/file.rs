//! `kind: File`.

use super::fields::{Fields, choice, drift, text, word};
use crate::api::resource::{Content, FilePath, FileSpec, Mode, OnDelete};

/// Reads the spec of a file.
pub(super) fn read(spec: &mut Fields<'_>) -> Option<FileSpec> {
    const ON_DELETE: &[(&str, OnDelete)] = &[("remove", OnDelete::Remove), ("keep", OnDelete::Keep)];
    let path = spec.required("path", word::<FilePath>);
    let content = content(spec);
    let mode = spec.optional("mode", word);
    let owner = spec.optional("owner", word);
    let drift = spec.optional("drift", drift);
    let on_delete = spec.optional("onDelete", |node| choice(node, ON_DELETE));
    Some(FileSpec {
        path: path?,
        content: content?,
        mode: mode.unwrap_or(Mode::DEFAULT),
        owner,
        drift: drift.unwrap_or_default(),
        on_delete: on_delete.unwrap_or(OnDelete::Remove),
    })
}

/// Exactly one of `content` and `source`.
fn content(spec: &mut Fields<'_>) -> Option<Content> {
    match (spec.node("content"), spec.node("source")) {
        (Some(_), Some(source)) => {
            spec.refuse("source", source.mark(), "content stands there too; give one of the two");
            None
        }
        (Some(_), None) => spec.optional("content", text).map(|text| Content::Bytes(text.as_bytes().into())),
        (None, Some(_)) => spec.optional("source", |node| relative(text(node)?)).map(Content::Source),
        (None, None) => {
            spec.missing(&["content", "source"], "a File has either content or source");
            None
        }
    }
}

fn relative(path: &str) -> Result<Box<str>, String> {
    let wrong = |part: &str| matches!(part, "" | "." | "..") || part.chars().any(char::is_control);
    if path.len() > 1024 || path.split('/').any(wrong) {
        return Err("a source is a file beside or below the manifest, such as files/motd, without '.' or '..'".into());
    }
    Ok(path.into())
}
