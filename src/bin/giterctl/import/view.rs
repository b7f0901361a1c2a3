//! What became of each file.

use giter_edge::{
    api::{DeviceId, Error, Exit, Oid, Reason, Result, limits},
    cli::{self, Output},
    codec::{stick::Paper, yaml},
};
use serde::Serialize;

use super::stick::Found;

/// What became of a file.
pub(super) enum Answer {
    /// So many statuses are new, and take the place of so many.
    New { count: usize, gone: usize, commit: Oid, sequence: Option<u64>, revision: Option<Oid> },
    /// There is nothing new in it, perhaps for a reason.
    Known(Option<String>),
    /// The device asks to be enrolled.
    Requested { fingerprint: String },
    /// What it says for people, which nobody signed.
    Told(String),
    /// It is not taken.
    Refused(Error),
}

/// A file as programs read of it, and the table's row.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    device: String,
    result: &'static str,
    file: String,
    /// How many statuses are new.
    statuses: usize,
    /// How many statuses that the hub had they took the place of.
    replaced: usize,
    sequence: Option<u64>,
    commit: Option<String>,
    observed_revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip)]
    refused: Option<Reason>,
    #[serde(skip)]
    is_request: bool,
}

impl Row {
    pub(super) fn of(found: &Found, answer: Answer) -> Self {
        let mut row = Self {
            device: found.device.to_string(),
            result: "AlreadyKnown",
            file: found.path.clone(),
            statuses: 0,
            replaced: 0,
            sequence: None,
            commit: None,
            observed_revision: None,
            fingerprint: None,
            reason: None,
            message: None,
            hint: None,
            refused: None,
            is_request: found.paper == Paper::Request,
        };
        match answer {
            Answer::New { count, gone, commit, sequence, revision } => {
                (row.result, row.statuses, row.replaced) = ("New", count, gone);
                row.commit = Some(commit.to_string());
                row.sequence = sequence;
                row.observed_revision = revision.map(|revision| revision.to_string());
                row.message =
                    (gone > 0).then(|| format!("the device began again, in the place of {gone} that the hub had"));
            }
            Answer::Known(why) => row.message = why,
            Answer::Requested { fingerprint } => {
                (row.result, row.fingerprint) = ("Requested", Some(fingerprint));
                row.hint = Some(format!("compare the fingerprint with the device's: giterctl approve {}", row.device));
            }
            Answer::Told(words) => {
                (row.result, row.message) = ("Told", Some(format!("unproven: {words}")));
            }
            Answer::Refused(error) => row.refuse(error),
        }
        row
    }

    /// Says that it is not taken after all.
    pub(super) fn refuse(&mut self, error: Error) {
        (self.result, self.statuses, self.replaced) = ("Refused", 0, 0);
        self.refused = Some(error.reason());
        self.reason = Some(error.reason().as_str());
        self.message = Some(printable(&error.one_line()));
        self.hint = error.get_hint().map(str::to_owned);
    }

    /// Where it stands among the rows: those of a device together, whatever the exchange's folder is called.
    pub(super) fn place(&self) -> (&str, &str) {
        (&self.device, &self.file)
    }

    /// Whether a device says something new in it.
    pub(super) fn is_news_of(&self, device: &DeviceId) -> bool {
        self.result == "New" && self.device == device.as_str()
    }

    /// Whether it is what moves a ref.
    pub(super) fn is_at(&self, name: &str) -> bool {
        let is_request = name.starts_with(giter_edge::codec::enrolment::REFS);
        let is_taken = matches!(self.result, "New" | "Requested");
        is_taken && self.is_request == is_request && name.ends_with(&format!("/{}", self.device))
    }

    /// What there is to say of it, in a line.
    fn say(&self) -> String {
        let said = [self.fingerprint.as_deref(), self.message.as_deref()];
        said.into_iter().flatten().collect::<Vec<_>>().join(": ")
    }
}

/// What `-o json` prints, version 1.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    version: u32,
    dry_run: bool,
    files: Vec<Row>,
}

impl Report {
    pub(super) fn new(files: Vec<Row>, dry_run: bool) -> Self {
        Self { version: 1, dry_run, files }
    }

    pub(super) fn print(&self, output: Output) -> Result<()> {
        if self.files.is_empty() {
            cli::talk("no device of this exchange left anything there");
        }
        cli::print(match output {
            Output::Table => self.table() + &self.hints(),
            Output::Wide => self.wide() + &self.hints(),
            Output::Name => self.names(),
            Output::Yaml => yaml::to_string(self)?,
            Output::Json => cli::json(self)?,
        })
    }

    /// How it ends: with a no, if anything was refused.
    pub(super) fn exit(&self) -> Exit {
        match self.files.iter().find_map(|row| row.refused) {
            None => Exit::Done,
            Some(reason) => {
                cli::talk(format_args!("reason: {reason}"));
                Exit::No
            }
        }
    }

    fn table(&self) -> String {
        let cells = self
            .files
            .iter()
            .map(|row| [row.device.clone(), row.result.into(), row.count(), row.sequence(), row.reason(), row.say()]);
        cli::table(["DEVICE", "RESULT", "STATUSES", "SEQUENCE", "REASON", "MESSAGE"], &cells.collect::<Vec<_>>())
    }

    fn wide(&self) -> String {
        let short = |id: &Option<String>| id.as_deref().map_or("-", |id| &id[..12]).to_owned();
        let cells = self.files.iter().map(|row| {
            let (commit, revision) = (short(&row.commit), short(&row.observed_revision));
            let [device, result] = [row.device.clone(), row.result.into()];
            [device, result, row.count(), row.sequence(), commit, revision, row.file.clone(), row.reason(), row.say()]
        });
        let headers = ["DEVICE", "RESULT", "STATUSES", "SEQUENCE", "COMMIT", "REVISION", "FILE", "REASON", "MESSAGE"];
        cli::table(headers, &cells.collect::<Vec<_>>())
    }

    fn hints(&self) -> String {
        let hint = |row: &Row| Some(format!("{}: {}\n", row.device, row.hint.as_deref()?));
        let hints: String = self.files.iter().filter_map(hint).collect();
        if hints.is_empty() { hints } else { format!("\n{hints}") }
    }

    /// The devices that have something new.
    fn names(&self) -> String {
        let news = self.files.iter().filter(|row| matches!(row.result, "New" | "Requested"));
        news.map(|row| format!("Device/{}\n", row.device)).collect()
    }
}

impl Row {
    fn count(&self) -> String {
        if self.statuses == 0 { "-".into() } else { self.statuses.to_string() }
    }

    fn sequence(&self) -> String {
        self.sequence.map_or("-".into(), |sequence| sequence.to_string())
    }

    fn reason(&self) -> String {
        self.reason.unwrap_or("-").into()
    }
}

/// The words at the head of a receipt: `key: value`, a line each, as far as they can go to a terminal.
pub(super) fn words(receipt: &[u8]) -> String {
    let text = String::from_utf8_lossy(receipt);
    let is_word = |line: &&str| {
        let key = line.split_once(": ").map(|(key, _)| key).unwrap_or_default();
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    };
    let words = text.lines().take_while(is_word).take(limits::RECEIPT_LINES);
    let words: Vec<String> = words.map(|line| line.chars().take(limits::NOTE_CHARS).collect()).collect();
    printable(&words.join("; "))
}

/// The text without what would steer a terminal.
fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_head_of_a_receipt_is_shown_and_it_cannot_steer_a_terminal() {
        assert_eq!(
            words(b"device: pump\nresult: \x1b[31mok\n\nThe pump was\nfree: text\n"),
            "device: pump; result: \u{fffd}[31mok"
        );
        assert_eq!(words(b"<html>"), "");
        let long = format!("key: {}\n", "x".repeat(1000)).repeat(100);
        assert!(words(long.as_bytes()).len() <= limits::RECEIPT_LINES * (limits::NOTE_CHARS + 2));
    }
}
