//! Board files: the TOML that says which lines and LEDs a board has, read and checked.
//!
//! ```toml
//! name = "example"                     # the file's stem
//! title = "Example board"
//! compatible = ["vendor,example"]      # device tree strings that select it
//! stick = "ACT"                        # the LED that shows what is done with a stick
//! open = false                         # whether the kernel's own names are taken as well
//! [[chip]]
//! id = "pinctrl-example"               # the GPIO chip's label, the name of its device in sysfs, or its own
//! lines = ["GPIO0", "", "GPIO2"]       # by offset, as a device tree's gpio-line-names; "" has no name
//! [alias]
//! PIN3 = "GPIO2"                       # another name of a line
//! [led]
//! ACT = ["ACT", "led0"]                # its names under /sys/class/leds, tried in order
//! ```
//!
//! `build.rs` includes this very file, so it knows nothing of the crate; it does not read the disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
};

use serde::Deserialize;
use toml::Spanned;

/// Most lines of one chip.
const LINES: usize = 1024;

/// A board as its file says.
#[derive(Debug, PartialEq, Eq)]
pub struct BoardFile {
    /// Its name.
    pub name: String,
    /// The name people know it by.
    pub title: String,
    /// The device tree's strings that select it, each with the line of the file where it stands.
    pub compatible: Vec<(String, usize)>,
    /// The lines by each of their names.
    pub lines: BTreeMap<String, Place>,
    /// The LEDs by name, with their names in sysfs.
    pub leds: BTreeMap<String, Vec<String>>,
    /// The LED that shows what is done with a stick.
    pub stick: Option<String>,
    /// Whether the kernel's own names are taken as well.
    pub open: bool,
}

/// Where a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The GPIO chip's label, the name of its device in sysfs, or its own.
    pub chip: String,
    /// The line's offset on the chip.
    pub offset: u32,
}

/// What is wrong with a board file, and in which line, from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.message)
    }
}

impl std::error::Error for Wrong {}

/// Reads a board file. Where `stem` is given, the board's name has to be that.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn parse(text: &str, stem: Option<&str>) -> Result<BoardFile, Wrong> {
    let wrong = |span: Range<usize>, message: String| Wrong { line: line_of(text, span.start), message };
    let raw: Raw = toml::from_str(text)
        .map_err(|e| wrong(e.span().unwrap_or(0..0), e.message().lines().next().unwrap_or_default().into()))?;
    raw.check(text, stem).map_err(|(span, message)| wrong(span, message))
}

/// Finds two boards that the same `compatible` string selects: the index of the second, and what is wrong with it.
pub fn contested(boards: &[BoardFile]) -> Option<(usize, Wrong)> {
    let mut claims = BTreeMap::new();
    for (index, board) in boards.iter().enumerate() {
        for (text, line) in &board.compatible {
            if let Some(first) = claims.insert(text, &board.name) {
                let message = format!("compatible {text:?} selects {first} already");
                return Some((index, Wrong { line: *line, message }));
            }
        }
    }
    None
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: Word,
    title: String,
    #[serde(default)]
    compatible: Vec<Word>,
    stick: Option<Word>,
    #[serde(default)]
    open: bool,
    #[serde(default, rename = "chip")]
    chips: Vec<RawChip>,
    #[serde(default)]
    alias: BTreeMap<Word, Word>,
    #[serde(default)]
    led: BTreeMap<Word, Vec<Word>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChip {
    id: Word,
    lines: Vec<Word>,
}

type Word = Spanned<String>;
type Misplaced = (Range<usize>, String);

impl Raw {
    fn check(self, text: &str, stem: Option<&str>) -> Result<BoardFile, Misplaced> {
        let name = self.name.get_ref();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return misplaced(&self.name, "a board's name is made of a-z, 0-9 and '-'");
        }
        if stem.is_some_and(|stem| stem != name) {
            return misplaced(&self.name, format!("the board's name is {name:?}, its file's is not"));
        }
        if let Some(word) = self.stick.as_ref().filter(|word| !self.led.contains_key(*word)) {
            return misplaced(word, format!("the board has no led {}", word.get_ref()));
        }
        let compatible = self.compatible.into_iter().map(|word| {
            let line = line_of(text, word.span().start);
            (word.into_inner(), line)
        });
        Ok(BoardFile {
            lines: lines(&self.chips, &self.alias)?,
            leds: leds(&self.led)?,
            compatible: compatible.collect(),
            name: self.name.into_inner(),
            title: self.title,
            stick: self.stick.map(Word::into_inner),
            open: self.open,
        })
    }
}

fn misplaced<T>(word: &Word, message: impl Into<String>) -> Result<T, Misplaced> {
    Err((word.span(), message.into()))
}

fn lines(chips: &[RawChip], aliases: &BTreeMap<Word, Word>) -> Result<BTreeMap<String, Place>, Misplaced> {
    let mut ids = BTreeSet::new();
    let mut lines = BTreeMap::new();
    for chip in chips {
        let id = named(&chip.id)?;
        if !ids.insert(id) {
            return misplaced(&chip.id, format!("chip {id} stands here twice"));
        }
        if chip.lines.len() > LINES {
            return misplaced(&chip.id, format!("a chip has at most {LINES} lines"));
        }
        for (offset, word) in (0..).zip(&chip.lines).filter(|(_, word)| !word.get_ref().is_empty()) {
            if lines.insert(named(word)?.to_owned(), Place { chip: id.to_owned(), offset }).is_some() {
                return misplaced(word, format!("line {} stands here twice", word.get_ref()));
            }
        }
    }
    for (alias, target) in aliases {
        let Some(place) = lines.get(target.get_ref()).cloned() else {
            return misplaced(target, format!("no chip has a line {}", target.get_ref()));
        };
        if lines.insert(named(alias)?.to_owned(), place).is_some() {
            return misplaced(alias, format!("line {} stands here twice", alias.get_ref()));
        }
    }
    Ok(lines)
}

fn leds(leds: &BTreeMap<Word, Vec<Word>>) -> Result<BTreeMap<String, Vec<String>>, Misplaced> {
    let mut known = BTreeMap::new();
    for (led, places) in leds {
        if places.is_empty() {
            return misplaced(led, format!("led {} has no name in sysfs", led.get_ref()));
        }
        let places = places.iter().map(|place| named(place).map(str::to_owned)).collect::<Result<_, _>>()?;
        known.insert(named(led)?.to_owned(), places);
    }
    Ok(known)
}

/// The text of a word that can be a name of a line, chip or LED.
fn named(word: &Word) -> Result<&str, Misplaced> {
    let text = word.get_ref();
    if text.is_empty() || text.len() > 64 || !text.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b'"') {
        return misplaced(word, "a name is 1 to 64 visible ASCII characters without '/' and '\"'");
    }
    Ok(text)
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"name = "example"
title = "Example board"
compatible = ["vendor,example"]
stick = "ACT"
[[chip]]
id = "pinctrl-example"
lines = ["GPIO0", "", "GPIO2"]
[alias]
PIN3 = "GPIO2"
[led]
ACT = ["ACT", "led0"]
"#;

    #[test]
    fn a_board_file_is_read() {
        let board = parse(GOOD, Some("example")).unwrap();
        let line = |name: &str, offset| (name.to_owned(), Place { chip: "pinctrl-example".to_owned(), offset });
        assert_eq!(board.lines, BTreeMap::from([line("GPIO0", 0), line("GPIO2", 2), line("PIN3", 2)]));
        assert_eq!(board.leds, BTreeMap::from([("ACT".to_owned(), vec!["ACT".to_owned(), "led0".to_owned()])]));
        assert_eq!(board.compatible, [("vendor,example".to_owned(), 3)]);
        assert_eq!(board.stick.as_deref(), Some("ACT"));
        assert!(!board.open);
    }

    #[test]
    fn the_documentations_example_is_read() {
        let (_, example) = include_str!("../../docs/BOARDS.md").split_once("```toml\n").unwrap();
        let board = parse(example.split_once("```").unwrap().0, None).unwrap();
        assert_eq!((board.lines.len(), board.leds.len(), board.compatible.len()), (7, 1, 1));
        assert_eq!(board.lines["PIN5"], Place { chip: "pinctrl-bcm2711".into(), offset: 3 });
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let cases = [
            ("title = \"Example board\"", "title = ", 2, "expected"),
            ("title = \"Example board\"", "titel = \"Example board\"", 2, "unknown field"),
            ("name = \"example\"", "name = \"other\"", 1, "the board's name is \"other\", its file's is not"),
            ("name = \"example\"", "name = \"Example\"", 1, "a-z, 0-9"),
            ("\"\", \"GPIO2\"", "\"GPIO0\", \"GPIO2\"", 7, "line GPIO0 stands here twice"),
            ("\"\", \"GPIO2\"", "3, \"GPIO2\"", 7, "invalid type"),
            ("PIN3 = \"GPIO2\"", "PIN3 = \"GPIO9\"", 9, "no chip has a line GPIO9"),
            ("PIN3 = \"GPIO2\"", "GPIO0 = \"GPIO2\"", 9, "line GPIO0 stands here twice"),
            ("PIN3 = \"GPIO2\"", "PIN3 = \"GPIO2\"\nPIN3 = \"GPIO0\"", 10, "duplicate key"),
            ("[alias]", "[[chip]]\nid = \"pinctrl-example\"\nlines = []\n[alias]", 9, "stands here twice"),
            ("[\"ACT\", \"led0\"]", "[]", 11, "no name in sysfs"),
            ("[\"ACT\", \"led0\"]", "[\"../../etc\"]", 11, "without '/'"),
            ("stick = \"ACT\"", "stick = \"PWR\"", 4, "the board has no led PWR"),
        ];
        for (from, to, line, message) in cases {
            assert!(GOOD.contains(from), "{from}");
            let wrong = parse(&GOOD.replacen(from, to, 1), Some("example")).unwrap_err();
            assert_eq!(wrong.line, line, "{to}: {wrong}");
            assert!(wrong.message.contains(message), "{to}: {wrong}");
        }
    }

    #[test]
    fn a_missing_key_is_named() {
        let wrong = parse("name = \"example\"\n", None).unwrap_err();
        assert!(wrong.message.contains("missing field `title`"), "{wrong}");
    }

    #[test]
    fn one_compatible_string_selects_one_board() {
        let first = parse(GOOD, None).unwrap();
        let second =
            parse(&GOOD.replace("example\"", "other\"").replace("vendor,other", "vendor,example"), None).unwrap();
        let (index, wrong) = contested(&[first, second]).unwrap();
        assert_eq!(
            (index, wrong.to_string().as_str()),
            (1, "3: compatible \"vendor,example\" selects example already")
        );
    }
}
