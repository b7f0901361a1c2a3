//! What there is to know of a request, for the person who compares.

use giter_edge::{api::Device, codec::pubkey::PublicKey};

use super::{list::Standing, request::Request};

/// The request, and what was approved before.
pub(super) fn of(request: &Request, says: Option<&Device>) -> String {
    let Request { device, key, notes, commit, asked } = request;
    let fingerprint = |text: &str| PublicKey::from_openssh(text).map(|key| key.fingerprint()).unwrap_or_default();
    let ssh: Vec<_> = asked.ssh_keys.iter().map(|key| fingerprint(key)).collect();
    let known = says.map(|says| &*says.status_keys).unwrap_or_default();
    let known: Vec<_> = known
        .iter()
        .map(|known| {
            let short = PublicKey::from_openssh(&known.key).map(|key| key.short_fingerprint()).unwrap_or_default();
            known.valid_before.as_ref().map_or(short.clone(), |end| format!("{short} (until {end})"))
        })
        .collect();
    let standing = match Standing::of(key, says) {
        Standing::New => "no key of it yet".into(),
        Standing::Same => format!("this key already: {}", known.join(", ")),
        Standing::Different | Standing::Invalid => format!("ANOTHER key: {}", known.join(", ")),
    };
    let rows = [
        ("device", device.to_string()),
        ("fingerprint", key.short_fingerprint()),
        ("sha256", key.fingerprint()),
        ("ssh keys", ssh.join(" ")),
        ("board", notes.board.clone()),
        ("agent", notes.agent.clone()),
        ("request", format!("{}, signed by that key", commit.short())),
        ("approved", standing),
    ];
    let said = rows.iter().filter(|(_, value)| !value.is_empty());
    said.map(|(name, value)| format!("{name:<14}{value}\n")).collect()
}
