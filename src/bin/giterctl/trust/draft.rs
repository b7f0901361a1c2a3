//! The next charter: what it says, and its text, changed side by side.

use giter_edge::{
    api::{Exchange, Result, exchange::Publisher},
    codec::yaml,
};

use super::edit::{Item, Text, not_editable};
use crate::charter;

const ROOTS: &str = "roots";
const PUBLISHERS: &str = "publishers";

/// A charter in the making.
pub(super) struct Draft {
    text: Text,
    exchange: Exchange,
}

impl Draft {
    /// As it is now.
    ///
    /// # Errors
    ///
    /// What keeps it from being read.
    pub(super) fn of(text: String) -> Result<Self> {
        Ok(Self { exchange: charter::parse(text.as_bytes())?, text: Text::new(text) })
    }

    /// Its text.
    pub(super) fn text(&self) -> &str {
        self.text.as_str()
    }

    /// What it says.
    pub(super) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// # Errors
    ///
    /// `ManifestNotEditable`, as for all that follow.
    pub(super) fn set_serial(&mut self, serial: u64) -> Result<()> {
        self.exchange.serial = serial;
        self.text.set("serial", &serial.to_string())
    }

    /// A root, as `type base64 comment`.
    pub(super) fn add_root(&mut self, line: &str) -> Result<()> {
        self.exchange.roots.push(line.into());
        self.text.push(ROOTS, &Item::Scalar(yaml::scalar(line)?))
    }

    pub(super) fn replace_root(&mut self, index: usize, line: &str) -> Result<()> {
        self.exchange.roots[index] = line.into();
        self.text.replace(ROOTS, index, &Item::Scalar(yaml::scalar(line)?))
    }

    pub(super) fn remove_root(&mut self, index: usize) -> Result<()> {
        self.exchange.roots.remove(index);
        self.text.remove(ROOTS, index)
    }

    pub(super) fn add_publisher(&mut self, publisher: Publisher) -> Result<()> {
        self.text.push(PUBLISHERS, &item(&publisher)?)?;
        self.exchange.publishers.push(publisher);
        Ok(())
    }

    /// A publisher's entry with another in its place. Where only the key is another one, only that is written.
    pub(super) fn replace_publisher(&mut self, index: usize, publisher: Publisher) -> Result<()> {
        let before = std::mem::replace(&mut self.exchange.publishers[index], publisher);
        let after = &self.exchange.publishers[index];
        if before == (Publisher { key: before.key.clone(), ..after.clone() }) {
            return self.text.set_of_item(PUBLISHERS, index, "key", &yaml::scalar(&after.key)?);
        }
        self.text.replace(PUBLISHERS, index, &item(after)?)
    }

    /// A publisher's key counts no more from a time on.
    pub(super) fn end_publisher(&mut self, index: usize, time: &str) -> Result<()> {
        self.exchange.publishers[index].valid_before = Some(time.into());
        self.text.set_of_item(PUBLISHERS, index, "validBefore", &yaml::scalar(time)?)
    }

    pub(super) fn remove_publisher(&mut self, index: usize) -> Result<()> {
        self.exchange.publishers.remove(index);
        self.text.remove(PUBLISHERS, index)
    }

    /// The text, if it says what it should.
    ///
    /// # Errors
    ///
    /// `ManifestNotEditable`.
    pub(super) fn finish(self) -> Result<(String, Exchange)> {
        let text = self.text.into_string();
        match charter::parse(text.as_bytes()) {
            Ok(said) if said == self.exchange => Ok((text, said)),
            Ok(_) => Err(not_editable()),
            Err(error) => Err(not_editable().caused_by(error)),
        }
    }
}

/// A publisher's entry; texts in quotes where they are of several words or dates.
fn item(publisher: &Publisher) -> Result<Item> {
    let Publisher { principal, key, paths, valid_after, valid_before } = publisher;
    let mut fields = vec![("principal", yaml::scalar(principal)?), ("key", yaml::scalar(key)?)];
    if !paths.is_empty() {
        let paths = paths.iter().map(|path| yaml::scalar(path)).collect::<Result<Vec<_>>>()?;
        fields.push(("paths", format!("[{}]", paths.join(", "))));
    }
    for (name, time) in [("validAfter", valid_after), ("validBefore", valid_before)] {
        if let Some(time) = time {
            fields.push((name, yaml::scalar(time)?));
        }
    }
    Ok(Item::Mapping(fields))
}

#[cfg(test)]
mod tests {
    use giter_edge::{api::Reason, codec::keyfile::SecretKey};

    use super::*;

    fn key(seed: u8) -> String {
        SecretKey::from_seed(&[seed; 32]).public().to_openssh()
    }

    fn block() -> String {
        format!(
            "# Für alle ✓\napiVersion: edge.giter.dev/v1alpha1\nkind: Exchange\nmetadata: {{name: plant-7}}\nspec:\n  \
             id: 5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d\n  serial: 1 # Änderung\n  branch: main\n  roots:\n  - \"{} root ü\"\n  \
             - '{}'   # ✓\n  publishers:\n  # ops\n  - principal: öps\n    key: {}\n    paths: [\"specs/**\"]\n  - \
             {{principal: two, key: \"{}\", validBefore: \"2030-01-01\"}}\n",
            key(1),
            key(2),
            key(3),
            key(4)
        )
    }

    fn flow() -> String {
        format!(
            "{{apiVersion: edge.giter.dev/v1alpha1, kind: Exchange, metadata: {{name: plant-7}}, spec: {{id: \
             5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d, branch: main, roots: [\"{} ü\",\n  \"{}\"], publishers: [{{principal: ö, \
             key: \"{}\"}}, # ✓\n  {{principal: two, key: \"{}\", validBefore: \"2030-01-01\"}}]}}}}",
            key(1),
            key(2),
            key(3),
            key(4)
        )
    }

    fn publisher(seed: u8) -> Publisher {
        Publisher {
            principal: "ana, the \"new\" one: ü".into(),
            key: key(seed).into(),
            paths: vec!["specs/ä b/**".into()],
            valid_after: Some("2026-11-01".into()),
            valid_before: None,
        }
    }

    type Change = fn(&mut Draft) -> Result<()>;

    /// All that can be done to a charter with two roots and two publishers.
    const CHANGES: [Change; 10] = [
        |draft| draft.set_serial(7),
        |draft| draft.add_root(&format!("{} new: root # ü", key(5))),
        |draft| draft.replace_root(1, &key(5)),
        |draft| draft.remove_root(0),
        |draft| draft.remove_root(1),
        |draft| draft.add_publisher(publisher(5)),
        |draft| draft.replace_publisher(0, publisher(5)),
        |draft| draft.end_publisher(0, "2029-01-01").and_then(|()| draft.end_publisher(1, "2029-01-01")),
        |draft| draft.remove_publisher(1),
        |draft| draft.remove_publisher(0).and_then(|()| draft.remove_publisher(0)),
    ];

    #[test]
    fn every_change_can_be_made_in_every_usual_form() {
        for text in [block(), flow(), block().replace('\n', "\r\n"), format!("---\n{}...\n", block())] {
            for (at, change) in CHANGES.into_iter().enumerate() {
                let mut draft = Draft::of(text.clone()).unwrap();
                change(&mut draft).unwrap();
                let (changed, _) = draft.finish().unwrap_or_else(|error| panic!("{at}: {error:?}\n{text}"));
                assert_eq!(changed.contains("\r\n"), text.contains("\r\n"));
                assert_eq!(changed.replace("\r\n", "").contains('\n'), text.replace("\r\n", "").contains('\n'));
            }
        }
    }

    /// Whatever the text is, it is changed as told or not at all.
    #[test]
    fn an_odd_text_is_changed_as_told_or_refused() {
        let mut random = 1u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        let (mut made, mut refused) = (0, 0);
        for round in 0..4000 {
            let mut chars: Vec<char> = if round % 2 == 0 { block() } else { flow() }.chars().collect();
            for _ in 0..=next(3) {
                // In a key, hardly anything would be left to read.
                let at = (0..).map(|_| next(chars.len())).find(|at| !chars[*at].is_ascii_alphanumeric()).unwrap();
                match next(3) {
                    0 => chars[at] = [' ', '\n', '-', '#', '&', '*', '"', '[', '}', ':', 'ä', '\u{feff}'][next(12)],
                    1 => drop(chars.remove(at)),
                    _ => chars.insert(at, [' ', '\n', '\t', '\r', ',', '|', '>', '\'', ']', '{', '?', '✓'][next(12)]),
                }
            }
            let Ok(mut draft) = Draft::of(chars.into_iter().collect()) else { continue };
            let (roots, publishers) = (draft.exchange().roots.len(), draft.exchange().publishers.len());
            if (roots, publishers) != (2, 2) {
                continue;
            }
            match CHANGES[next(CHANGES.len())](&mut draft).and_then(|()| draft.finish()) {
                Ok((text, exchange)) => {
                    assert_eq!(charter::parse(text.as_bytes()).unwrap(), exchange);
                    made += 1;
                }
                Err(error) => {
                    assert_eq!(error.reason(), Reason::ManifestNotEditable);
                    refused += 1;
                }
            }
        }
        assert!(made > 200, "{made} made, {refused} refused");
    }
}
