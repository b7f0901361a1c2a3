//! The kept corpus of each fuzz target, through the very checks that the fuzzer makes.

mod targets {
    pub(crate) mod bundle;
    pub(crate) mod charter;
    pub(crate) mod commit;
    pub(crate) mod import;
    pub(crate) mod signers;
    pub(crate) mod sshsig;
    pub(crate) mod tree;
}

use std::{collections::BTreeSet, fs, panic, path::Path};

/// A target with its name.
type Target = (&'static str, fn(&[u8]));

const TARGETS: &[Target] = &[
    ("bundle", targets::bundle::check),
    ("charter", targets::charter::check),
    ("commit", targets::commit::check),
    ("import", targets::import::check),
    ("signers", targets::signers::check),
    ("sshsig", targets::sshsig::check),
    ("tree", targets::tree::check),
];

fn folder(path: &str) -> impl Iterator<Item = (String, std::path::PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(path);
    fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), entry.path())
    })
}

#[test]
fn what_the_fuzzer_found_is_read_or_refused() {
    for (name, check) in TARGETS {
        let (mut count, mut total) = (0, 0);
        for (input, path) in folder(&format!("corpus/{name}")) {
            let data = fs::read(path).unwrap();
            assert!(data.len() <= 16 << 10, "{name}/{input} is too large to be kept");
            let checked = panic::catch_unwind(|| check(&data));
            assert!(checked.is_ok(), "{name}/{input} fails");
            (count, total) = (count + 1, total + data.len());
        }
        assert!(count >= 10, "{name} has {count} inputs");
        assert!(total <= 192 << 10, "{name} has {total} bytes; minimise it as README.md says");
    }
}

#[test]
fn every_target_is_fuzzed_and_replayed() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(folder("corpus").map(|(name, _)| name).collect::<BTreeSet<_>>(), names);
    let stem = |(file, _): (String, _)| file.strip_suffix(".rs").unwrap().to_owned();
    assert_eq!(folder("fuzz_targets").map(stem).collect::<BTreeSet<_>>(), names);
}

/// The control: the fuzzer starts beyond every refusal too.
#[test]
fn whole_bundles_are_imported_and_no_others() {
    let is_named = |input: &str| !input.bytes().all(|byte| byte.is_ascii_hexdigit());
    let named = folder("corpus/import").filter(|(input, _)| is_named(input));
    let imported = named.filter(|(_, path)| targets::import::import(&fs::read(path).unwrap()).is_ok());
    let imported: BTreeSet<String> = imported.map(|(input, _)| input).collect();
    assert_eq!(imported, ["several-refs", "v3", "whole"].map(str::to_owned).into());
}
