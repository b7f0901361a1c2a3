//! What `giterctl get` is asked for.

use std::{fmt, str::FromStr};

use giter_edge::api::{DeviceId, Kind};

use super::join::Row;

/// Which rows are shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Selector {
    /// Every one.
    #[default]
    All,
    /// Those of a kind.
    Kind(RowKind),
    /// The one of this kind and name; of each device.
    One(RowKind, String),
    /// A device and all its resources.
    Device(DeviceId),
}

/// A resource's kind, or the device itself, which `get` shows as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowKind {
    /// The device.
    Device,
    /// A resource.
    Resource(Kind),
}

impl Selector {
    pub(super) fn takes(&self, row: &Row<'_>) -> bool {
        match self {
            Selector::All => true,
            Selector::Kind(kind) => row.kind == *kind,
            Selector::One(kind, name) => row.kind == *kind && row.name() == *name,
            Selector::Device(device) => row.device == device,
        }
    }
}

impl FromStr for Selector {
    type Err = &'static str;

    /// Kinds are taken in lower case and in the plural too, and before devices.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(kind) = text.parse() {
            return Ok(Self::Kind(kind));
        }
        if let Some((kind, name)) = text.split_once('/')
            && let Ok(kind) = kind.parse()
        {
            return Ok(Self::One(kind, name.into()));
        }
        text.parse().map(Self::Device).map_err(|_| "expected a kind, such as files, KIND/NAME, or a device")
    }
}

impl FromStr for RowKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let kinds = || [RowKind::Device].into_iter().chain(Kind::ALL.iter().copied().map(RowKind::Resource));
        let named = |name: &str| kinds().find(|kind| kind.to_string().eq_ignore_ascii_case(name));
        named(text).or_else(|| named(text.strip_suffix('s')?)).ok_or(())
    }
}

impl fmt::Display for RowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowKind::Device => f.write_str("Device"),
            RowKind::Resource(kind) => kind.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_before_devices() {
        let kind = RowKind::Resource(Kind::GpioLine);
        for text in ["GpioLine", "gpioline", "gpiolines"] {
            assert_eq!(text.parse(), Ok(Selector::Kind(kind)), "{text}");
        }
        assert_eq!("devices".parse(), Ok(Selector::Kind(RowKind::Device)));
        assert_eq!("gpioline/pump".parse(), Ok(Selector::One(kind, "pump".into())));
        assert_eq!("device/site-a/pump-07".parse(), Ok(Selector::One(RowKind::Device, "site-a/pump-07".into())));
        assert_eq!("site-a/pump-07".parse(), Ok(Selector::Device("site-a/pump-07".parse().unwrap())));
        assert!("Pump_07".parse::<Selector>().is_err());
    }
}
