//! What a stick carries, and what it takes to write one, beside git: `cargo bench --bench stick`.
//!
//! The exchange has 10,000 devices in 100 sites. Bytes are those of whole files, ours as `giterctl` and the agent's seal
//! write them, git's by `git bundle create` with the right prerequisite, from a repository that was repacked, with its
//! best compression and every delta looked for. The export is for 1,000 of the devices, which stand at 50 commits of the last 500,
//! 100 of them at none. A shell loop of `git bundle create` is run for every tenth of those that stand somewhere, and its
//! time taken ten times. The run fails if a limit is passed, and if anything could not be measured.
//!
//! `--quick` leaves out the loop, and holds no time to its limit: it is for machines that have other work to do.

#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/command.rs"]
mod command;
mod exchange;
#[path = "../common/figures.rs"]
mod figures;
mod process;
#[path = "../common/publisher.rs"]
mod publisher;
mod table;

use std::{
    error::Error,
    fs,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use giter_edge::{api::Oid, git::bundle};

use command::{git, program, run};
use exchange::{DEVICES, Exchange, name, status};
use figures::median;
use table::Table;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Commits after the first.
const COMMITS: usize = 500;
/// Devices that are exported for: one of so many.
const ONE_OF: usize = 10;
/// Commits at which they stand.
const BASES: usize = 50;
/// How many of them stand nowhere: one of so many.
const NEW_OF: usize = 10;
/// The most bytes of a bundle that changes one resource of one device.
const CHANGE_BYTES: u64 = 1_500;
/// The most bytes of a bundle with one status.
const STATUS_BYTES: u64 = 1_000;
/// The most of either beside git's.
const BESIDE_GIT: f64 = 1.2;
/// How often the export is timed; the time in the middle counts.
const ROUNDS: usize = 3;
/// The most time that the export takes, in seconds.
const SECONDS: f64 = 10.0;
/// The most memory that the export takes.
const MEMORY: u64 = 200_000_000;

fn main() -> ExitCode {
    let is_quick = std::env::args().any(|word| word == "--quick");
    let mut table = Table::new();
    match measure(&mut table, is_quick) {
        Ok(()) if table.is_within() => ExitCode::SUCCESS,
        Ok(()) => {
            eprintln!("a limit is passed");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("not measured: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(table: &mut Table, is_quick: bool) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let dir = folder.path();
    let exchange = Exchange::create(dir, COMMITS)?;
    let legs: Vec<(usize, Option<Oid>)> =
        (0..DEVICES).step_by(ONE_OF).map(|number| (number, base(&exchange, number))).collect();
    let said: Vec<_> = legs.iter().filter_map(|(number, base)| Some((*number, (*base)?))).collect();
    exchange.report(&said)?;
    one_change(table, &exchange, dir)?;
    one_status(table, &exchange, dir)?;
    let ours = export(table, &exchange, dir, &legs, (!is_quick).then_some(SECONDS))?;
    if !is_quick {
        let gits = said.iter().step_by(10).map(|(number, base)| (*number, *base)).collect::<Vec<_>>();
        let time = gits_loop(&exchange, dir, &gits)? * 10;
        table.number("export: seconds of the loop of git bundle create", time.as_secs_f64(), None);
        table.number("export: time beside that", ours.as_secs_f64() / time.as_secs_f64(), None);
    }
    Ok(())
}

/// Where a device stands, among the last commits.
fn base(exchange: &Exchange, number: usize) -> Option<Oid> {
    let order = number / ONE_OF;
    (!order.is_multiple_of(NEW_OF)).then(|| exchange.line[order % BASES * (COMMITS / BASES)])
}

/// The bundle for the device that the last commit changes, which has the one before.
fn one_change(table: &mut Table, exchange: &Exchange, dir: &Path) -> Result<()> {
    let (number, before) = (COMMITS * 7_919 % DEVICES, exchange.line[COMMITS - 1]);
    let stick = dir.join("one");
    fs::create_dir(&stick)?;
    run(giterctl(exchange, &stick).arg(name(number)).args(["--base", &before.to_string()]))?;
    let ours = files(&stick)?.iter().map(|file| Ok(fs::metadata(file)?.len())).sum::<Result<u64>>()?;
    let gits = gits_bundle(exchange, dir, "refs/heads/main", before)?;
    beside(table, "one resource of one device", ours, gits, CHANGE_BYTES);
    Ok(())
}

/// A bundle with a device's second status, by whom the hub has the first.
fn one_status(table: &mut Table, exchange: &Exchange, dir: &Path) -> Result<()> {
    let number = 1;
    let first = status(number, 299, exchange.line[COMMITS - 1], None)?;
    let second = status(number, 300, exchange.tip(), Some(first[2].id))?;
    let name = format!("refs/giter/status/{}", name(number));
    let ours = bundle::write(&name, second[2].id, Some(first[2].id), &second)?.len() as u64;
    exchange.take_in(&[&first[..], &second[..]].concat())?;
    exchange.set(&[(name.clone(), second[2].id)])?;
    let gits = gits_bundle(exchange, dir, &name, first[2].id)?;
    beside(table, "one status", ours, gits, STATUS_BYTES);
    Ok(())
}

fn beside(table: &mut Table, what: &str, ours: u64, gits: u64, most: u64) {
    table.bytes(&format!("{what}: bytes"), ours, Some(most));
    table.bytes(&format!("{what}: bytes of git bundle create"), gits, None);
    table.number(&format!("{what}: beside git"), ours as f64 / gits as f64, Some(BESIDE_GIT));
}

fn export(
    table: &mut Table,
    exchange: &Exchange,
    dir: &Path,
    legs: &[(usize, Option<Oid>)],
    seconds: Option<f64>,
) -> Result<Duration> {
    let stick = |round: usize| dir.join(format!("stick-{round}"));
    let write = |round| {
        fs::create_dir(stick(round))?;
        process::watch(giterctl(exchange, &stick(round)).args(legs.iter().map(|(number, _)| name(*number))))
    };
    let runs = (0..ROUNDS).map(write).collect::<Result<Vec<_>>>()?;
    let time = median(runs.iter().map(|run| run.time).collect());
    let most = |of: fn(&process::Run) -> u64| runs.iter().map(of).max().unwrap_or_default();
    let files = files(&stick(0))?;
    let bundles: Vec<_> = files.iter().filter(|file| file.extension().is_some_and(|is| is == "bundle")).collect();
    let bytes = bundles.iter().map(|file| Ok(fs::metadata(file)?.len())).sum::<Result<u64>>()?;
    table.number(&format!("export for {} of {DEVICES}: bundles", legs.len()), bundles.len() as f64, None);
    table.bytes("export: bytes", bytes, None);
    table.number("export: seconds", time.as_secs_f64(), seconds);
    table.bytes("export: memory of giterctl", most(|run| run.own), Some(MEMORY));
    table.bytes("export: memory of the largest git that it starts", most(|run| run.others), Some(MEMORY));
    Ok(time)
}

/// The time that a loop takes which makes a bundle for each device.
fn gits_loop(exchange: &Exchange, dir: &Path, legs: &[(usize, Oid)]) -> Result<Duration> {
    let list: String = legs.iter().map(|(number, base)| format!("{number} {base}\n")).collect();
    let (wanted, to) = (dir.join("legs"), dir.join("by-git"));
    fs::write(&wanted, list)?;
    fs::create_dir(&to)?;
    let script =
        "while read -r device base; do git bundle create -q \"$1/$device\" main \"^$base\" || exit; done < \"$2\"";
    let begin = Instant::now();
    run(program("sh").current_dir(exchange.hub()).args(["-c", script, "loop"]).arg(to).arg(wanted))?;
    Ok(begin.elapsed())
}

/// The bytes of git's bundle: what it makes in passing, or the same header with the pack that it makes when it looks for every
/// delta anew, whichever is less.
fn gits_bundle(exchange: &Exchange, dir: &Path, name: &str, base: Oid) -> Result<u64> {
    let (file, wanted) = (dir.join("git.bundle"), dir.join("wanted"));
    let path = file.display().to_string();
    git(
        &exchange.hub(),
        [
            "-c",
            "pack.compression=9",
            "-c",
            "pack.useBitmaps=false",
            "bundle",
            "create",
            "-q",
            &path,
            name,
            &format!("^{base}"),
        ],
    )?;
    let bundle = fs::read(file)?;
    let header = bundle.windows(6).position(|bytes| bytes == b"\n\nPACK").ok_or("git's bundle has no pack")? + 2;
    fs::write(&wanted, format!("{name}\n^{base}\n"))?;
    let mut command = program("git");
    command.arg("-C").arg(exchange.hub()).args([
        "-c",
        "pack.compression=9",
        "pack-objects",
        "-q",
        "--revs",
        "--thin",
        "--stdout",
    ]);
    command.args([
        "--delta-base-offset",
        "--no-reuse-delta",
        "--no-reuse-object",
        "--no-use-bitmap-index",
        "--window=250",
    ]);
    let pack = run(command.stdin(fs::File::open(wanted)?))?.stdout;
    Ok(bundle.len().min(header + pack.len()) as u64)
}

fn giterctl(exchange: &Exchange, stick: &Path) -> std::process::Command {
    let mut giterctl = program(env!("CARGO_BIN_EXE_giterctl"));
    giterctl.arg("-C").arg(exchange.hub()).args(["export", "--to"]).arg(stick);
    giterctl
}

/// All files below a folder.
fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}
