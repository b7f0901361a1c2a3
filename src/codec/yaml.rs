//! Words to YAML, as people read it in a terminal or a diff: one line stays one line.

use serde::Serialize;
use serde_saphyr::SerializerOptions;

use crate::api::{Error, Reason, Result};

/// A value as YAML. Texts of several lines are literal blocks; no line is folded.
///
/// # Errors
///
/// `Bug` if it cannot be written.
pub fn to_string(value: &impl Serialize) -> Result<String> {
    let mut options = SerializerOptions::default();
    options.folded_wrap_chars = usize::MAX;
    serde_saphyr::to_string_with_options(value, options)
        .map_err(|error| Error::new(Reason::Bug, "cannot write YAML").caused_by(error))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_long_line_stays_one_line_and_lines_stay_lines() {
        let long = "word ".repeat(60) + "end";
        assert_eq!(super::to_string(&[&*long]).unwrap(), format!("- {long}\n"));
        assert_eq!(super::to_string(&["a\nb\n"]).unwrap(), "- |\n  a\n  b\n");
    }
}
