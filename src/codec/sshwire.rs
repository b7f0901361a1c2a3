//! The data types of RFC 4251 section 5 that keys and signatures are made of: `byte`, `uint32` and `string`.

/// Reads fields off the front of some bytes.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Reads from the first byte on.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Takes a `byte`; `None` if nothing is left.
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (field, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*field)
    }

    /// Takes a `uint32`; `None` if the bytes end before it does.
    pub(super) fn uint32(&mut self) -> Option<u32> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*field))
    }

    /// Takes a `string`; `None` if the bytes end before it does.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.uint32()?;
        let (field, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(field)
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Appends a `string`. No string of ours comes near 4 GiB.
pub(super) fn put_string(out: &mut Vec<u8>, field: &[u8]) {
    out.extend_from_slice(&(field.len() as u32).to_be_bytes());
    out.extend_from_slice(field);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_taken() {
        let mut bytes = Vec::new();
        put_string(&mut bytes, b"ssh-ed25519");
        put_string(&mut bytes, b"");
        let mut fields = Fields::of(&bytes);
        assert_eq!(fields.string(), Some(&b"ssh-ed25519"[..]));
        assert_eq!(fields.string(), Some(&b""[..]));
        assert!(fields.is_empty());
        assert_eq!(fields.string(), None);
    }

    #[test]
    fn a_length_beyond_the_end_is_no_string() {
        assert_eq!(Fields::of(&[0, 0, 0, 2, b'x']).string(), None);
        assert_eq!(Fields::of(&[0xff, 0xff, 0xff, 0xff, b'x']).string(), None);
        assert_eq!(Fields::of(&[0, 0, 0]).string(), None);
    }
}
