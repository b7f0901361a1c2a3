//! Turns `boards/*.toml` into constant tables, `$OUT_DIR/boards.rs`; a wrong board file fails the build with its line.
//! Leaves the tables for unwinding out of the programs that are released.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[path = "src/codec/boardfile.rs"]
#[allow(unreachable_pub)]
mod boardfile;

use boardfile::BoardFile;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=boards");
    println!("cargo::rerun-if-changed=src/codec/boardfile.rs");
    match build().and_then(|()| leave_out_unwind_tables()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let files = board_files(Path::new("boards")).map_err(|e| format!("boards: {e}"))?;
    let boards = files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    if let Some((index, wrong)) = boardfile::contested(&boards) {
        return Err(format!("{}:{wrong}", files[index].display()));
    }
    let tables: String = boards.iter().map(table).collect();
    let out = env::var_os("OUT_DIR").map(PathBuf::from).ok_or("cargo sets OUT_DIR")?.join("boards.rs");
    fs::write(&out, format!("&[{tables}]")).map_err(|e| format!("{}: {e}", out.display()))
}

/// A released program ends at a panic and has no symbols, so that nothing ever reads what it has for unwinding: an eighth
/// of `giterd`. Both GNU ld and lld take a script with `INSERT` as an addition to their own.
fn leave_out_unwind_tables() -> Result<(), String> {
    const SCRIPT: &str = "SECTIONS { /DISCARD/ : { *(.eh_frame) *(.gcc_except_table*) } } INSERT AFTER .rodata;\n";
    let is = |key, value| env::var(key).is_ok_and(|has| has == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        let script = env::var_os("OUT_DIR").map(PathBuf::from).ok_or("cargo sets OUT_DIR")?.join("no-unwind-tables.ld");
        fs::write(&script, SCRIPT).map_err(|e| format!("{}: {e}", script.display()))?;
        // A linker that is named is called as it is, else it is behind the C compiler.
        let is_bare = env::var("RUSTC_LINKER").is_ok_and(|linker| linker.ends_with("lld"));
        let pass_on = if is_bare { "" } else { "-Wl," };
        println!("cargo::rustc-link-arg-bins={pass_on}--no-eh-frame-hdr");
        println!("cargo::rustc-link-arg-bins={pass_on}-T{}", script.display());
    }
    Ok(())
}

/// The board files in the order of their names.
fn board_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<BoardFile, String> {
    let text = fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    boardfile::parse(&text, Some(stem)).map_err(|wrong| format!("{}:{wrong}", file.display()))
}

/// The board as an expression of type `BoardTable`.
fn table(board: &BoardFile) -> String {
    let compatible: Vec<_> = board.compatible.iter().map(|(text, _)| text).collect();
    let lines: String = board
        .lines
        .iter()
        .map(|(name, at)| format!("LineEntry {{ name: {name:?}, chip: {:?}, offset: {} }},", at.chip, at.offset))
        .collect();
    let leds: String =
        board.leds.iter().map(|(name, sysfs)| format!("LedEntry {{ name: {name:?}, sysfs: &{sysfs:?} }},")).collect();
    format!(
        "BoardTable {{ name: {:?}, title: {:?}, compatible: &{compatible:?}, open: {}, lines: &[{lines}], leds: &[{leds}], stick: {:?} }},\n",
        board.name, board.title, board.open, board.stick
    )
}
