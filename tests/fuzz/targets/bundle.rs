//! Headers of bundles: what is read leaves the pack untouched, within bounds, however its bytes come in.

use std::io::{BufReader, Read};

use giter_edge::{
    api::{Reason, limits},
    git::bundle,
};

const NAMES: [&str; 2] = ["refs/heads/main", "refs/giter/status/dev"];

pub(crate) fn check(data: &[u8]) {
    let mut rest = data;
    let read = bundle::header(&mut rest, NAMES);
    let mut drop_by_drop = BufReader::with_capacity(1, data);
    let again = bundle::header(&mut drop_by_drop, NAMES);
    match read {
        Ok(header) => {
            assert_eq!(again.unwrap(), header);
            assert!(header.prerequisites.len() <= limits::BUNDLE_PREREQUISITES);
            assert!(data[..data.len() - rest.len()].ends_with(b"\n\n"));
            let mut left = Vec::new();
            drop_by_drop.read_to_end(&mut left).unwrap();
            assert_eq!(left, rest);
        }
        Err(error) => assert_eq!([error, again.unwrap_err()].map(|error| error.reason()), [Reason::BundleInvalid; 2]),
    }
}
