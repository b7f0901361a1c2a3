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

/// A text as YAML writes it on one line, in quotes where it would be taken for something else, in flow style too.
///
/// # Errors
///
/// `Bug` if it cannot be written.
pub fn scalar(text: &str) -> Result<String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"@._/+-".contains(&byte));
    // JSON's quotes are YAML's.
    let text = if is_plain { to_string(&text)? } else { serde_json::Value::from(text).to_string() };
    Ok(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_scalar_stays_text_wherever_it_stands() {
        for (text, written) in [
            ("ops@plant-7", "ops@plant-7"),
            ("true", "\"true\""),
            ("1.0", "\"1.0\""),
            ("2026-11-21", "\"2026-11-21\""),
            ("specs/**", "\"specs/**\""),
            ("a, b: {c}", "\"a, b: {c}\""),
            ("", "\"\""),
        ] {
            assert_eq!(super::scalar(text).unwrap(), written);
        }
    }

    #[test]
    fn a_long_line_stays_one_line_and_lines_stay_lines() {
        let long = "word ".repeat(60) + "end";
        assert_eq!(super::to_string(&[&*long]).unwrap(), format!("- {long}\n"));
        assert_eq!(super::to_string(&["a\nb\n"]).unwrap(), "- |\n  a\n  b\n");
    }
}
