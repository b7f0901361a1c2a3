//! Patterns: `*` and `?` in a text, and paths of an exchange as a charter grants them.
//!
//! ```text
//! groups/pumps.yaml       this file
//! specs/site-a/*.yaml     the YAML files directly in the folder
//! specs/site-a/**         everything below the folder, at any depth
//! specs/**/relays.yaml    the file of that name in specs or anywhere below it
//! ```
//!
//! These are git's patterns in their narrow form: they begin at the root of the exchange, tell upper from lower case,
//! and match whole paths of files, so that a folder's name alone grants nothing. `*` and `?` stand for no slash, `**`
//! is a component of its own. What git's patterns have besides (`[...]`, `\`, `!`, a slash at either end) is refused:
//! a right that is read in two ways is none.

use std::fmt;

/// Why a text is not a pattern of paths; says which form is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPattern(&'static str);

impl fmt::Display for NotAPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotAPattern {}

/// A pattern of paths that is understood whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(Box<str>);

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// It is not of the narrow form.
    pub fn new(text: &str) -> Result<Self, NotAPattern> {
        let odd = |c: char| c.is_control() || matches!(c, '[' | ']' | '\\' | '!');
        if text.contains(odd) {
            return Err(NotAPattern("a pattern has no other wildcards than '*', '?' and '**'"));
        }
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(NotAPattern("a pattern begins at the root of the exchange, as in specs/site-a/**"));
        }
        if text.split('/').any(|part| part.contains("**") && part != "**") {
            return Err(NotAPattern("'**' stands between slashes, as in specs/**/relays.yaml"));
        }
        Ok(Self(text.into()))
    }

    /// Whether the pattern matches the whole path; in time of the product of their lengths at most.
    pub fn matches(&self, path: &str) -> bool {
        // Below a folder there is at least one name.
        let below = if self.0.ends_with("**") { &["*"][..] } else { &[] };
        let pattern: Vec<&str> = self.0.split('/').chain(below.iter().copied()).collect();
        let path: Vec<&str> = path.split('/').collect();
        wild(&pattern, &path, |part| *part == "**", |part, name| matches(part, name))
    }

    /// Whether the pattern matches whatever stands at the path of a folder, and all that can be below it.
    pub fn covers(&self, folder: &str) -> bool {
        // What a last `**` takes of the folder's path it takes with any names behind it.
        self.0.split('/').next_back() == Some("**") && self.matches(folder)
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a pattern with `*` (any bytes) and `?` (one byte) matches the whole text; in time of their product at most.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    wild(pattern.as_bytes(), text.as_bytes(), |p| *p == b'*', |p, t| *p == b'?' || p == t)
}

/// Whether a sequence matches one in which some elements are wild and stand for any number of others.
fn wild<P, T>(pattern: &[P], text: &[T], is_wild: impl Fn(&P) -> bool, fits: impl Fn(&P, &T) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    // Behind the last wild element, and the end of what it took.
    let mut last = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(element) if is_wild(element) => {
                last = Some((p + 1, t));
                p += 1;
            }
            Some(element) if fits(element, &text[t]) => (p, t) = (p + 1, t + 1),
            _ => match last {
                Some((after, taken)) => {
                    last = Some((after, taken + 1));
                    (p, t) = (after, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(is_wild)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_paths_are_matched() {
        for (pattern, good, bad) in [
            (
                "groups/pumps.yaml",
                &["groups/pumps.yaml"][..],
                &["groups/Pumps.yaml", "groups", "groups/pumps.yaml/x"][..],
            ),
            ("specs/a", &["specs/a"], &["specs/a/x.yaml", "specs/ab"]),
            ("specs/a/*.yaml", &["specs/a/x.yaml", "specs/a/.yaml"], &["specs/a/b/x.yaml", "specs/a/x.yml"]),
            ("specs/a/**", &["specs/a/x", "specs/a/b/c/x"], &["specs/a", "specs/ab/x", "specs", "x/specs/a/x"]),
            ("specs/*/**", &["specs/a/x"], &["specs/a"]),
            ("**", &["x", "a/b/x"], &[]),
            ("**/x", &["x", "a/x", "a/b/x"], &["a/y", "x/y"]),
            ("a/**/b/**/c", &["a/b/c", "a/x/b/y/z/c", "a/b/b/c/c"], &["a/c", "a/b", "b/c"]),
            ("a/?/c", &["a/b/c"], &["a/bb/c", "a//c"]),
            ("pump-*7", &["pump-7", "pump-07", "pump-77"], &["pump-70", "pump-/7"]),
        ] {
            let read = PathPattern::new(pattern).unwrap();
            assert_eq!(read.to_string(), pattern);
            for path in good {
                assert!(read.matches(path), "{pattern} {path}");
            }
            for path in bad {
                assert!(!read.matches(path), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn a_covered_folder_has_nothing_that_is_not_matched() {
        let folder = "specs/site-a/pump-07";
        for (pattern, covers) in [
            ("**", true),
            ("specs/**", true),
            ("specs/site-a/**", true),
            ("specs/*/**", true),
            ("**/pump-*/**", false),
            ("**/site-a/**", true),
            // A file of the folder's name is not matched.
            ("specs/site-a/pump-07/**", false),
            ("specs/site-b/**", false),
            ("specs/site-a/*", false),
            ("specs/site-a/pump-07", false),
            ("specs/**/*.yaml", false),
            ("**/pump-07", false),
        ] {
            let read = PathPattern::new(pattern).unwrap();
            assert_eq!(read.covers(folder), covers, "{pattern}");
            let below = ["", "/a", "/a.yaml", "/b/c"].map(|name| format!("{folder}{name}"));
            assert_eq!(below.iter().all(|path| read.matches(path)), covers, "{pattern}");
        }
        let covers_all = |pattern| PathPattern::new(pattern).unwrap().covers("");
        assert!(covers_all("**") && !covers_all("*/**") && !covers_all("specs/**"));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for bad in
            ["", "/", "/specs", "specs/", "a//b", "./a", "a/../b", "!a", "[ab]", "a\\*", "a**", "a/**b", "***", "a\n"]
        {
            assert!(PathPattern::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let pattern = format!("{}/x", vec!["**"; 300].join("/"));
        let path = vec!["a"; 2_000].join("/");
        assert!(!PathPattern::new(&pattern).unwrap().matches(&path));
    }
}
