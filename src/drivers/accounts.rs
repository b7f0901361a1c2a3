//! Users and groups by name, from files in the form of passwd(5) and group(5).
//!
//! Read directly, since a static program has no name service switch; names from a directory service are not seen.

use std::path::{Path, PathBuf};

use super::{io_error, read_text};
use crate::api::{Error, Reason, Result, limits, resource::Owner};

/// Where users and groups are named.
pub(super) struct Accounts {
    pub(super) passwd: PathBuf,
    pub(super) group: PathBuf,
}

impl Accounts {
    /// The numbers of an owner's user and group. As chown(1) has it, a name goes before a number.
    pub(super) fn resolve(&self, owner: Option<&Owner>) -> Result<(Option<u32>, Option<u32>)> {
        let id = |name: Option<&Box<str>>, file, what| name.map(|name| lookup(file, what, name)).transpose();
        Ok((
            id(owner.and_then(|owner| owner.user.as_ref()), &self.passwd, "user")?,
            id(owner.and_then(|owner| owner.group.as_ref()), &self.group, "group")?,
        ))
    }
}

fn lookup(file: &Path, what: &str, name: &str) -> Result<u32> {
    let unknown = || format!("there is no {what} {name} on this device");
    let number = name.parse().ok().filter(|id| *id != u32::MAX);
    match (read_text(file, limits::ACCOUNTS_BYTES), number) {
        (Ok(text), number) => id_of(&text, name).or(number).ok_or_else(|| {
            Error::new(Reason::UnknownOwner, unknown()).hint(format!("create the {what}, or give its number"))
        }),
        (Err(_), Some(number)) => Ok(number),
        (Err(e), None) => {
            Err(io_error(Reason::UnknownOwner, unknown(), e).hint(format!("make {} readable", file.display())))
        }
    }
}

/// Both files have the name in the first field and the number in the third.
fn id_of(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(dir: &Path) -> Accounts {
        let accounts = Accounts { passwd: dir.join("passwd"), group: dir.join("group") };
        std::fs::write(&accounts.passwd, "root:x:0:0:root:/root:/bin/sh\nbad\npump:x:1007:100::/:\n7:x:70:70::/:\n")
            .unwrap();
        std::fs::write(&accounts.group, "root:x:0:\ngpio:x:997:pump\nbroken:x:many:\n").unwrap();
        accounts
    }

    #[test]
    fn owners_are_found_by_name_and_by_number() {
        let dir = tempfile::tempdir().unwrap();
        let accounts = accounts(dir.path());
        let ids = |owner: &str| accounts.resolve(Some(&owner.parse().unwrap())).unwrap();
        assert_eq!(ids("root"), (Some(0), None));
        assert_eq!(ids("pump:gpio"), (Some(1007), Some(997)));
        assert_eq!(ids(":12"), (None, Some(12)));
        assert_eq!(ids("7:8"), (Some(70), Some(8)));
        assert_eq!(accounts.resolve(None).unwrap(), (None, None));
    }

    #[test]
    fn unknown_owners_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut accounts = accounts(dir.path());
        for owner in ["nobody", "root:nobody", ":broken", "4294967295", "4294967296"] {
            let error = accounts.resolve(Some(&owner.parse().unwrap())).unwrap_err();
            assert_eq!(error.reason(), Reason::UnknownOwner, "{owner}");
        }
        accounts.passwd = dir.path().join("missing");
        assert_eq!(accounts.resolve(Some(&"5".parse().unwrap())).unwrap(), (Some(5), None));
        assert_eq!(accounts.resolve(Some(&"root".parse().unwrap())).unwrap_err().reason(), Reason::UnknownOwner);
    }
}
