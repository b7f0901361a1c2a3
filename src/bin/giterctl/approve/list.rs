//! Who asks to be enrolled.

use giter_edge::{
    api::{Device, DeviceId, Error, Exit, Reason, Result},
    cli::{self, Output},
    codec::{enrolment, pubkey::PublicKey, yaml},
};
use serde::Serialize;

use super::{
    request::Request,
    source::{self, Found},
};
use crate::{chain::Reader, devices::Devices, git::Git};

/// How what is asked for stands to what is approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Standing {
    /// No key of the device is approved.
    New,
    /// This key is.
    Same,
    /// Another key is.
    Different,
    /// The request proves nothing.
    Invalid,
}

impl Standing {
    /// Of a key, beside what the exchange says of its device.
    pub(super) fn of(key: &PublicKey, says: Option<&Device>) -> Self {
        let keys = says.map(|says| &*says.status_keys).unwrap_or_default();
        let is_same = |text: &str| PublicKey::from_openssh(text).is_ok_and(|known| known == *key);
        match keys.iter().any(|known| is_same(&known.key)) {
            true => Self::Same,
            false if keys.is_empty() => Self::New,
            false => Self::Different,
        }
    }
}

/// A request as programs read it, and the table's row.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    device: String,
    standing: Standing,
    commit: String,
    #[serde(flatten)]
    proven: Option<Proven>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Proven {
    fingerprint: String,
    sha256: String,
    key: String,
    ssh_keys: Vec<String>,
    board: String,
    agent: String,
}

/// What `-o json` prints, version 1.
#[derive(Serialize)]
struct View {
    version: u32,
    requests: Vec<Row>,
}

/// Prints every request in the repository, and how it stands to what the commit approves.
pub(super) fn run(git: &Git, devices: &Devices, output: Output) -> Result<Exit> {
    let mut reader = Reader::of(git)?;
    let rows =
        source::all(git)?.into_iter().map(|found| row(&mut reader, found, devices)).collect::<Result<Vec<_>>>()?;
    if rows.is_empty() {
        cli::talk("no device asks to be enrolled");
    }
    cli::print(match output {
        Output::Table => table(&rows),
        Output::Wide => wide(&rows),
        Output::Name => rows.iter().map(|row| format!("Device/{}\n", row.device)).collect(),
        Output::Yaml => yaml::to_string(&View { version: 1, requests: rows })?,
        Output::Json => cli::json(&View { version: 1, requests: rows })?,
    })?;
    Ok(Exit::Done)
}

fn row(reader: &mut Reader, found: Found, devices: &Devices) -> Result<Row> {
    let commit = found.commit.to_string();
    let proven = match found.name.parse::<DeviceId>() {
        Ok(device) => Request::prove(reader, &device, found.commit),
        Err(wrong) => {
            let what = format!("no device can be called {}", found.name.escape_default());
            Err(Error::new(Reason::EnrolmentInvalid, what).caused_by(wrong))
        }
    };
    match proven {
        Ok(request) => {
            let standing = Standing::of(&request.key, devices.get(&request.device));
            Ok(Row { device: found.name, standing, commit, proven: Some(request.into()), message: None })
        }
        Err(error) if error.reason() == Reason::EnrolmentInvalid => {
            let message = Some(error.one_line());
            // A ref may have any name, and this one goes to a terminal.
            let device = found.name.escape_default().to_string();
            Ok(Row { device, standing: Standing::Invalid, commit, proven: None, message })
        }
        Err(error) => Err(error),
    }
}

impl From<Request> for Proven {
    fn from(Request { asked, key, notes: enrolment::Notes { board, agent }, .. }: Request) -> Self {
        let ssh_keys = asked.ssh_keys.iter().filter_map(|key| PublicKey::from_openssh(key).ok());
        Self {
            fingerprint: key.short_fingerprint(),
            sha256: key.fingerprint(),
            key: key.to_openssh(),
            ssh_keys: ssh_keys.map(|key| key.to_openssh()).collect(),
            board,
            agent,
        }
    }
}

impl Row {
    /// A field of a request that is proven.
    fn field(&self, field: fn(&Proven) -> &str) -> String {
        self.proven.as_ref().map(field).unwrap_or_default().into()
    }

    fn board(&self) -> String {
        self.message.clone().unwrap_or_else(|| self.field(|proven| &proven.board))
    }
}

fn table(rows: &[Row]) -> String {
    let cells = rows.iter().map(|row| {
        let standing = format!("{:?}", row.standing);
        [row.device.clone(), standing, row.field(|proven| &proven.fingerprint), row.board()]
    });
    cli::table(["DEVICE", "STANDING", "FINGERPRINT", "BOARD"], &cells.collect::<Vec<_>>())
}

fn wide(rows: &[Row]) -> String {
    let cells = rows.iter().map(|row| {
        [
            row.device.clone(),
            format!("{:?}", row.standing),
            row.field(|proven| &proven.fingerprint),
            row.field(|proven| &proven.sha256),
            row.commit[..12].into(),
            row.field(|proven| &proven.agent),
            row.board(),
        ]
    });
    let headers = ["DEVICE", "STANDING", "FINGERPRINT", "SHA256", "COMMIT", "AGENT", "BOARD"];
    cli::table(headers, &cells.collect::<Vec<_>>())
}
