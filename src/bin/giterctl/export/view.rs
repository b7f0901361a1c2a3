//! What was written, and for whom.

use giter_edge::{
    api::{Error, Exit, Oid, Result},
    cli::{self, Output, counted},
    codec::yaml,
};
use serde::Serialize;

use super::{
    Export,
    plan::{Content, Leg, Start},
    stick::Spot,
};

/// A bundle, and what became of it.
pub(super) struct File {
    pub(super) content: Content,
    /// The legs that it serves.
    pub(super) legs: Vec<usize>,
    pub(super) spot: Spot,
    /// How many bytes it has.
    pub(super) bytes: Result<u64>,
}

/// What `-o json` prints, version 1.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    version: u32,
    exchange: String,
    branch: String,
    revision: String,
    dry_run: bool,
    /// Of all bundles.
    bytes: u64,
    devices: Vec<Row>,
    /// Files that nobody needs any more, and are gone.
    removed: Vec<String>,
    #[serde(skip)]
    failed: Option<Error>,
}

/// One device.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    device: String,
    result: &'static str,
    /// The commit that it has.
    from: Option<String>,
    to: String,
    file: Option<String>,
    bytes: Option<u64>,
    /// How many devices the file is for.
    shared: Option<usize>,
    /// The status that the hub has of it.
    acknowledged: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl Report {
    pub(super) fn of(export: &Export<'_>, files: Vec<File>, removed: Vec<Spot>) -> Self {
        let mut rows: Vec<Row> = export.legs.iter().map(|leg| Row::of(leg, export.target.tip)).collect();
        let (mut bytes, mut failed) = (0, None);
        for file in files {
            for leg in &file.legs {
                rows[*leg].carry(&file);
            }
            match file.bytes {
                Ok(count) => bytes += count,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Self {
            version: 1,
            exchange: export.folder.into(),
            branch: export.target.branch.clone(),
            revision: export.target.tip.to_string(),
            dry_run: export.is_dry,
            bytes,
            devices: rows,
            removed: removed.iter().map(Spot::path).collect(),
            failed,
        }
    }

    pub(super) fn print(&self, output: Output) -> Result<()> {
        cli::print(match output {
            Output::Table => self.table() + &self.sum(),
            Output::Wide => self.wide() + &self.sum(),
            Output::Name => self.names(),
            Output::Yaml => yaml::to_string(self)?,
            Output::Json => cli::json(self)?,
        })
    }

    /// How it ends: with the first bundle that could not be written.
    pub(super) fn exit(self) -> Result<Exit> {
        self.failed.map_or(Ok(Exit::Done), Err)
    }

    fn table(&self) -> String {
        let cells = self.devices.iter().map(|row| {
            [row.device.clone(), row.result.into(), row.from(), row.to[..12].into(), row.bytes(), row.file()]
        });
        cli::table(["DEVICE", "RESULT", "FROM", "TO", "BYTES", "FILE"], &cells.collect::<Vec<_>>())
    }

    fn wide(&self) -> String {
        let cells = self.devices.iter().map(|row| {
            [
                row.device.clone(),
                row.result.into(),
                row.from(),
                row.to[..12].into(),
                row.bytes(),
                row.file(),
                row.acknowledged.as_deref().map_or("-", |status| &status[..12]).into(),
                row.message.clone().unwrap_or_default(),
            ]
        });
        let headers = ["DEVICE", "RESULT", "FROM", "TO", "BYTES", "FILE", "ACKNOWLEDGED", "MESSAGE"];
        cli::table(headers, &cells.collect::<Vec<_>>())
    }

    fn sum(&self) -> String {
        let mut files: Vec<_> = self.devices.iter().filter_map(|row| row.file.as_deref()).collect();
        files.sort_unstable();
        files.dedup();
        let written = if self.dry_run { "would be written" } else { "written" };
        let mut text = format!("\n{} of specs {written}, {} bytes", counted(files.len(), "bundle"), self.bytes);
        if !self.removed.is_empty() {
            let gone = if self.dry_run { "would be removed" } else { "removed" };
            text.push_str(&format!("; {} that nobody needs any more {gone}", counted(self.removed.len(), "bundle")));
        }
        text.push('\n');
        for row in self.devices.iter().filter(|row| row.message.is_some()) {
            text.push_str(&format!("{}: {}\n", row.device, row.message.as_deref().unwrap_or_default()));
        }
        text
    }

    /// The devices that get specs.
    fn names(&self) -> String {
        let served = self.devices.iter().filter(|row| row.bytes.is_some());
        served.map(|row| format!("Device/{}\n", row.device)).collect()
    }
}

impl Row {
    fn of(leg: &Leg, tip: Oid) -> Self {
        let from = match leg.start {
            Start::There => Some(tip),
            Start::Base(base) => Some(base),
            Start::Lost(_) | Start::Nowhere => None,
        };
        Self {
            device: leg.device.to_string(),
            result: "UpToDate",
            from: from.map(|from| from.to_string()),
            to: tip.to_string(),
            file: None,
            bytes: None,
            shared: None,
            acknowledged: leg.heard.map(|status| status.to_string()),
            message: leg.why.clone(),
        }
    }

    fn carry(&mut self, file: &File) {
        self.file = Some(file.spot.path());
        match &file.bytes {
            Ok(bytes) => {
                self.result = match file.content {
                    Content::Since(_) => "Incremental",
                    Content::Seed => "Seed",
                    Content::Full => "Full",
                };
                self.bytes = Some(*bytes);
                self.shared = Some(file.legs.len());
            }
            Err(error) => {
                (self.result, self.file) = ("Failed", None);
                self.message = Some(format!("{} [{}]", error.one_line(), error.reason()));
            }
        }
    }

    fn from(&self) -> String {
        self.from.as_deref().map_or("-", |from| &from[..12]).into()
    }

    fn bytes(&self) -> String {
        self.bytes.map_or("-".into(), |bytes| bytes.to_string())
    }

    fn file(&self) -> String {
        self.file.clone().unwrap_or("-".into())
    }
}
