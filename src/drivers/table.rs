//! The boards: the tables that were built in, a table of this machine's own, and finding names in them.

use std::{io, path::Path};

use super::{Led, Line, Place, io_error, read_text};
use crate::{
    api::{
        Error, Reason, Result,
        board::{BoardTable, LedEntry, LineEntry},
        limits,
    },
    codec::boardfile::{self, BoardFile},
};

static BOARDS: &[BoardTable] = include!(concat!(env!("OUT_DIR"), "/boards.rs"));

/// The boards that were built in, sorted by name.
pub fn boards() -> &'static [BoardTable] {
    BOARDS
}

/// The board of the given name. `auto` is the board of the file `local` (in the form of the built-in ones) where
/// there is one, else the first that the `compatible` file of a device tree names. What is read from `local` is kept
/// until the process ends.
///
/// # Errors
///
/// `UnknownBoard` if there is no such board, or no board fits; `BadBoardFile` if `local` is wrong.
pub fn select(name: &str, device_tree: &Path, local: &Path) -> Result<&'static BoardTable> {
    if name != "auto" {
        return BOARDS.iter().find(|board| board.name == name).ok_or_else(|| {
            Error::new(Reason::UnknownBoard, format!("there is no board {name}"))
                .hint(format!("set board to \"auto\" or one of {}", known_boards()))
        });
    }
    match read_text(local, limits::CONFIG_BYTES) {
        Ok(text) => boardfile::parse(&text, None).map(leak).map_err(|wrong| {
            Error::new(Reason::BadBoardFile, format!("{}:{}: cannot be used", local.display(), wrong.line))
                .caused_by(wrong.message)
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => detect(device_tree),
        Err(e) => Err(io_error(Reason::BadBoardFile, format!("cannot read {}", local.display()), e)),
    }
}

/// The device tree names itself from the most to the least specific, each string ended by a zero byte.
fn detect(device_tree: &Path) -> Result<&'static BoardTable> {
    let unknown = |what: String| {
        Error::new(Reason::UnknownBoard, what).hint(format!("set board to one of {}, in giterd.toml", known_boards()))
    };
    let compatible = match read_text(device_tree, limits::CONFIG_BYTES) {
        Ok(text) => text,
        Err(e) => {
            let what = format!("cannot tell the board: no device tree at {}", device_tree.display());
            return Err(unknown(what).caused_by(e));
        }
    };
    let names = || compatible.split_terminator('\0');
    names().find_map(|name| BOARDS.iter().find(|board| board.compatible.contains(&name))).ok_or_else(|| {
        unknown(format!(
            "no board file is for this machine, compatible with {}",
            names().collect::<Vec<_>>().join(", ")
        ))
    })
}

fn known_boards() -> String {
    BOARDS.iter().map(|board| board.name).collect::<Vec<_>>().join(", ")
}

/// A table of a board file that was read at run time.
fn leak(file: BoardFile) -> &'static BoardTable {
    fn text(text: String) -> &'static str {
        Box::leak(text.into_boxed_str())
    }
    fn list<T>(list: impl Iterator<Item = T>) -> &'static [T] {
        Box::leak(list.collect())
    }
    let line =
        |(name, at): (_, boardfile::Place)| LineEntry { name: text(name), chip: text(at.chip), offset: at.offset };
    let led = |(name, sysfs): (_, Vec<_>)| LedEntry { name: text(name), sysfs: list(sysfs.into_iter().map(text)) };
    Box::leak(Box::new(BoardTable {
        name: text(file.name),
        title: text(file.title),
        compatible: list(file.compatible.into_iter().map(|(name, _)| text(name))),
        lines: list(file.lines.into_iter().map(line)),
        leds: list(file.leds.into_iter().map(led)),
        stick: file.stick.map(text),
        open: file.open,
    }))
}

/// Finds a line by any of its names. Its own name is the first of them in the alphabet.
pub(super) fn line<'a>(table: &'static BoardTable, name: &'a str) -> Result<Line<'a>> {
    if let Some(entry) = table.lines.iter().find(|entry| entry.name == name) {
        let same = |other: &&LineEntry| (other.chip, other.offset) == (entry.chip, entry.offset);
        let first = table.lines.iter().find(same).unwrap_or(entry);
        return Ok(Line { name: first.name, place: Place::Offset { chip: entry.chip, offset: entry.offset } });
    }
    if table.open && !name.is_empty() {
        return Ok(Line { name, place: open_place(name) });
    }
    let names = table.lines.iter().map(|entry| entry.name);
    Err(not_there(Reason::UnknownLine, table, "line", name, names))
}

/// Finds an LED.
pub(super) fn led<'a>(table: &'static BoardTable, name: &'a str) -> Result<Led<'a>> {
    if let Some(entry) = table.leds.iter().find(|entry| entry.name == name) {
        return Ok(Led { name: entry.name, sysfs: entry.sysfs.to_vec() });
    }
    if table.open && !name.contains('/') && !matches!(name, "" | "." | "..") {
        return Ok(Led { name, sysfs: vec![name] });
    }
    Err(not_there(Reason::UnknownLed, table, "led", name, table.leds.iter().map(|entry| entry.name)))
}

/// Reads `chip:offset`; anything else is the line's name in the kernel.
fn open_place(name: &str) -> Place<'_> {
    let at = name.rsplit_once(':').and_then(|(chip, offset)| Some((chip, offset.parse().ok()?)));
    at.map_or(Place::Name(name), |(chip, offset)| Place::Offset { chip, offset })
}

fn not_there<'a>(
    reason: Reason,
    table: &BoardTable,
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> Error {
    const SHOWN: usize = 4;
    let mut known: Vec<_> = known.collect();
    known.sort_by_key(|known| strsim::damerau_levenshtein(known, name));
    let others = known.len().saturating_sub(SHOWN);
    known.truncate(SHOWN);
    Error::new(reason, format!("board {} has no {what} {name}", table.name)).hint(match others {
        _ if known.is_empty() => format!("it has no {what}s"),
        0 => format!("use one of {}", known.join(", ")),
        _ => format!("use one of {}, or of its {others} others", known.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(name: &str) -> &'static BoardTable {
        select(name, Path::new("/nonexistent"), Path::new("/nonexistent")).unwrap()
    }

    #[test]
    fn the_boards_that_must_be_there_are_there_and_sorted() {
        let names: Vec<_> = boards().iter().map(|board| board.name).collect();
        let expected = [
            "beaglebone-black",
            "generic",
            "raspberry-pi-3b",
            "raspberry-pi-4b",
            "raspberry-pi-5",
            "raspberry-pi-zero-2-w",
            "sim",
        ];
        assert_eq!(names, expected);
        assert!(boards().iter().all(|board| board.lines.is_sorted_by_key(|entry| entry.name)));
        assert!(boards().iter().all(|board| board.leds.is_sorted_by_key(|entry| entry.name)));
    }

    #[test]
    fn a_line_is_one_line_under_all_its_names() {
        for name in ["GPIO17", "PIN11"] {
            let line = line(board("raspberry-pi-4b"), name).unwrap();
            assert_eq!(line.name, "GPIO17");
            assert_eq!(line.place, Place::Offset { chip: "pinctrl-bcm2711", offset: 17 });
        }
    }

    #[test]
    fn the_beaglebones_lines_are_where_its_reference_manual_has_them() {
        const BANKS: [&str; 4] = ["44e07000.gpio", "4804c000.gpio", "481ac000.gpio", "481ae000.gpio"];
        let has = |pin, bank: usize, offset| {
            let line = line(board("beaglebone-black"), pin).unwrap();
            assert_eq!(line.place, Place::Offset { chip: BANKS[bank], offset }, "{pin}");
        };
        has("P8_11", 1, 13);
        has("P8_24", 1, 1);
        has("P9_15", 1, 16);
        has("P9_25", 3, 21);
        has("P9_41", 0, 20);
        has("P9_42", 0, 7);
    }

    #[test]
    fn names_that_a_board_does_not_have_are_refused_with_those_it_has_that_are_most_alike() {
        let error = line(board("sim"), "GPIO99").err().unwrap();
        assert_eq!(error.reason(), Reason::UnknownLine);
        assert_eq!(error.to_string(), "board sim has no line GPIO99");
        assert_eq!(error.get_hint(), Some("use one of GPIO19, GPIO9, GPIO0, GPIO1, or of its 52 others"));
        let error = led(board("raspberry-pi-zero-2-w"), "PWR").err().unwrap();
        assert_eq!((error.reason(), error.get_hint()), (Reason::UnknownLed, Some("use one of ACT")));
    }

    #[test]
    fn an_open_board_takes_the_kernels_names_but_no_paths() {
        let place = |name| line(board("generic"), name).unwrap().place;
        assert_eq!(place("gpiochip0:17"), Place::Offset { chip: "gpiochip0", offset: 17 });
        assert_eq!(place("RELAY"), Place::Name("RELAY"));
        assert_eq!(place("RELAY:a"), Place::Name("RELAY:a"));
        assert_eq!(led(board("generic"), "beaglebone:green:usr0").unwrap().sysfs, ["beaglebone:green:usr0"]);
        for bad in ["", ".", "..", "../../etc", "a/b"] {
            assert_eq!(led(board("generic"), bad).err().unwrap().reason(), Reason::UnknownLed, "{bad}");
        }
    }

    #[test]
    fn the_device_tree_selects_the_board() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("compatible");
        let missing = dir.path().join("missing");
        for (compatible, name) in [
            ("raspberrypi,model-zero-2-w\0brcm,bcm2837\0", "raspberry-pi-zero-2-w"),
            ("raspberrypi,3-model-b\0brcm,bcm2837\0", "raspberry-pi-3b"),
            ("raspberrypi,4-model-b\0brcm,bcm2711\0", "raspberry-pi-4b"),
            ("raspberrypi,5-model-b\0brcm,bcm2712\0", "raspberry-pi-5"),
            ("ti,am335x-bone-black\0ti,am335x-bone\0ti,am33xx\0", "beaglebone-black"),
        ] {
            std::fs::write(&tree, compatible).unwrap();
            assert_eq!(select("auto", &tree, &missing).unwrap().name, name);
        }
        std::fs::write(&tree, "acme,one\0acme,soc\0").unwrap();
        let error = select("auto", &tree, &missing).unwrap_err();
        assert_eq!(error.reason(), Reason::UnknownBoard);
        assert!(error.to_string().ends_with("acme,one, acme,soc"), "{error}");
        for error in [select("auto", &missing, &missing).unwrap_err(), select("pi", &tree, &missing).unwrap_err()] {
            assert_eq!(error.reason(), Reason::UnknownBoard);
            assert!(error.get_hint().unwrap().contains("generic"));
        }
    }

    #[test]
    fn a_machine_may_have_its_own_table() {
        let dir = tempfile::tempdir().unwrap();
        let local = dir.path().join("board.toml");
        let text = "name = \"mine\"\ntitle = \"Mine\"\n[[chip]]\nid = \"c\"\nlines = [\"\", \"PUMP\"]\n[led]\nRUN = [\"run\"]\n";
        std::fs::write(&local, text).unwrap();
        let board = select("auto", &dir.path().join("missing"), &local).unwrap();
        assert_eq!(board.lines, [LineEntry { name: "PUMP", chip: "c", offset: 1 }]);
        assert_eq!(board.leds, [LedEntry { name: "RUN", sysfs: &["run"] }]);
        assert_eq!(select("sim", &dir.path().join("missing"), &local).unwrap().name, "sim");
        std::fs::write(&local, "name = \"mine\"\nopne = true\n").unwrap();
        let error = select("auto", &dir.path().join("missing"), &local).unwrap_err();
        assert_eq!(error.reason(), Reason::BadBoardFile);
        assert!(error.to_string().contains("board.toml:2: "), "{error}");
    }
}
