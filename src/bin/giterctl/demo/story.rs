//! The story, step by step.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::SystemTime,
};

use giter_edge::api::{Error, Reason, Result};
use serde_json::Value;

use super::stage::Stage;

/// Whom git takes for the publisher.
const GITCONFIG: &str = "[user]\n\tname = Ops\n\temail = ops@plant-7\n";
/// The status ref of the device.
const STATUS: &str = "refs/giter/status/pump-07";
/// The manifest that the story changes.
const MANIFEST: &str = "exchange/specs/pump-07/pump-relay.yaml";

/// Plays all of it.
pub(super) fn play(stage: &mut Stage<impl Write>) -> Result<()> {
    write(stage, "gitconfig", GITCONFIG)?;
    exchange(stage)?;
    hub(stage)?;
    device(stage)?;
    first_sync(stage)?;
    joined(stage)?;
    nothing_changed(stage)?;
    drift(stage)?;
    change(stage)?;
    unsigned(stage)?;
    proof(stage)
}

fn exchange(stage: &mut Stage<impl Write>) -> Result<()> {
    stage.step("A publisher makes an exchange")?;
    let files = quoted(&stage.dir().join("device/files"));
    stage.run("ssh-keygen -q -t ed25519 -N '' -C ops@plant-7 -f publisher.key", 0)?;
    stage.run(
        &format!("giterctl init exchange --name plant-7 --device pump-07 --key publisher.key --files {files}"),
        0,
    )?;
    stage.run("cat exchange/specs/pump-07/pump-relay.yaml", 0)?;
    stage.run("giterctl lint exchange --board sim", 0)?;
    let signed = stage.ask("git -C exchange verify-commit HEAD")?.is_good();
    stage.claim("its first commit is signed with the publisher's key", signed)
}

fn hub(stage: &mut Stage<impl Write>) -> Result<()> {
    stage.step("A hub: any git server will do, here a folder")?;
    let hub = quoted(&stage.dir().join("hub.git"));
    stage.run("git init -q --bare --initial-branch=main hub.git", 0)?;
    stage.run(&format!("git -C exchange remote add origin {hub}"), 0)?;
    stage.run("git -C exchange push -q -u origin main", 0)?;
    let same = tip(stage, "hub.git", "main")? == tip(stage, "exchange", "HEAD")?;
    stage.claim("the specs are at the hub", same)
}

fn device(stage: &mut Stage<impl Write>) -> Result<()> {
    stage.step("A device, with a key of its own and the publisher's to trust")?;
    let config = config(stage.dir());
    stage.run("mkdir device device/files", 0)?;
    stage.run("ssh-keygen -q -t ed25519 -N '' -C pump-07 -f device/device.key", 0)?;
    stage.run("cp exchange/root.keys device/root.keys", 0)?;
    write(stage, "device/giterd.toml", &config)?;
    stage.run("cat device/giterd.toml", 0)?;
    stage.run("giterd check --config device/giterd.toml", 0)?;
    let untouched = !stage.dir().join("device/sim.toml").exists();
    stage.claim("nothing of the board was touched yet", untouched)
}

fn first_sync(stage: &mut Stage<impl Write>) -> Result<()> {
    stage.step("The device fetches, proves, applies and answers")?;
    stage.run("giterd sync --config device/giterd.toml", 0)?;
    stage.run("cat device/sim.toml device/files/motd", 0)?;
    let line = level(stage)? == "high";
    stage.claim("the line GPIO17 is driven high", line)?;
    let led = register(stage, "led", "ACT")? == Some(toml::Value::Integer(255));
    stage.claim("the LED ACT shines", led)?;
    let file = read(stage, "device/files/motd")? == "pump-07 is looked after by giter-edge\n";
    stage.claim("the file is there", file)?;
    let answered = !tip(stage, "hub.git", STATUS)?.is_empty();
    stage.claim("the hub has the device's status", answered)
}

fn joined(stage: &mut Stage<impl Write>) -> Result<()> {
    stage.step("The publisher reads spec and status, joined")?;
    stage.run("giterctl -C hub.git get", 0)?;
    let rows = get(stage)?;
    let all_ready = rows.iter().all(|row| ready(row) == "True" && row["status"]["current"] == true);
    stage.claim("the device and its three resources are ready and current", rows.len() == 4 && all_ready)?;
    let one = stage.run("giterctl -C hub.git get GpioLine/pump-relay -o yaml", 0)?.stdout;
    let in_one = one.contains("\nspec:\n") && one.contains("\nstatus:\n");
    stage.claim("what is asked and what is seen stand in one object", in_one)
}

fn nothing_changed(stage: &mut Stage<impl Write>) -> Result<()> {
    stage.step("Nothing changes, so nothing is done")?;
    let before = (tip(stage, "hub.git", STATUS)?, contents(&stage.dir().join("device"))?);
    stage.run("giterd sync --config device/giterd.toml", 0)?;
    let after = (tip(stage, "hub.git", STATUS)?, contents(&stage.dir().join("device"))?);
    stage.claim("nothing was pushed", before.0 == after.0)?;
    stage.claim("nothing was written, neither to the board nor to the device's state", before.1 == after.1)
}

fn drift(stage: &mut Stage<impl Write>) -> Result<()> {
    stage.step("Somebody moves the pin behind the agent's back")?;
    stage.run("sed -i '/GPIO17/s/high/low/' device/sim.toml", 0)?;
    let moved = level(stage)? == "low";
    stage.claim("the line is low", moved)?;
    stage.run("giterd plan --config device/giterd.toml", 1)?;
    stage.run("giterd sync --config device/giterd.toml", 0)?;
    let corrected = level(stage)? == "high";
    stage.claim("the line is high again", corrected)?;
    stage.run("giterctl -C hub.git get gpiolines", 0)?;
    let told = condition(&relay(stage)?, "Drifted")["reason"] == "DriftCorrected";
    stage.claim("the status tells the publisher of it", told)
}

fn change(stage: &mut Stage<impl Write>) -> Result<()> {
    stage.step("The publisher changes the spec, signed")?;
    stage.run(&format!("sed -i 's/value: high/value: low/' {MANIFEST}"), 0)?;
    stage.run("git -C exchange commit -q -a -m 'Stop the pump'", 0)?;
    stage.run("git -C exchange push -q", 0)?;
    let stale = relay(stage)?["status"]["current"] == false;
    stage.claim("before the device looks, its status shows as not current", stale)?;
    stage.run("giterd sync --config device/giterd.toml", 0)?;
    let applied = level(stage)? == "low";
    stage.claim("the line is low, as asked", applied)?;
    let current = relay(stage)?["status"]["current"] == true;
    stage.claim("the status is current again", current)
}

fn unsigned(stage: &mut Stage<impl Write>) -> Result<()> {
    stage.step("Somebody pushes a change that nobody signed")?;
    stage.run(&format!("sed -i 's/value: low/value: high/' {MANIFEST}"), 0)?;
    stage.run("git -C exchange commit -q -a --no-gpg-sign -m 'Start the pump'", 0)?;
    stage.run("git -C exchange push -q", 0)?;
    let refused = stage.run("giterd sync --config device/giterd.toml", 1)?;
    let reason = refused.stderr.lines().any(|line| line == "reason: UnsignedCommit");
    stage.claim("the device refuses it, and says why", reason)?;
    let held = level(stage)? == "low";
    stage.claim("the line is as the last signed specs ask", held)?;
    stage.run("giterctl -C hub.git get", 0)?;
    let rows = get(stage)?;
    let synced = rows.iter().find(|row| row["kind"] == "Device").map(|row| condition(row, "Synced"));
    let told = synced.is_some_and(|synced| synced["status"] == "False" && synced["reason"] == "UnsignedCommit");
    stage.claim("the publisher sees that it was refused, and why", told)?;
    let stale = relay(stage)?["status"]["current"] == false;
    stage.claim("and that the relay's status is not of this spec", stale)
}

fn proof(stage: &mut Stage<impl Write>) -> Result<()> {
    stage.step("Git itself proves who wrote the status")?;
    stage.run(&format!("git -C exchange fetch -q origin {STATUS}:{STATUS}"), 0)?;
    let unknown = !stage.ask(&format!("git -C exchange verify-commit {STATUS}"))?.is_good();
    stage.claim("a status by a key that the publisher's git does not know proves nothing", unknown)?;
    let add = r#"echo "pump-07@giter namespaces=\"git\" $(cat device/device.key.pub)" >> exchange/allowed_signers"#;
    stage.run(add, 0)?;
    let verified = stage.run(&format!("git -C exchange verify-commit {STATUS}"), 0)?;
    let good = verified.stderr.contains("Good \"git\" signature for pump-07@giter");
    stage.claim("the signature is the device's", good)?;
    let verified = stage.run("giterctl -C exchange verify", 0)?.stdout;
    let proven = verified.lines().nth(1).is_some_and(|row| row.starts_with("pump-07 ") && row.ends_with(" Proven"));
    stage.claim("and so the whole record is: no status is missing, told twice or forged", proven)?;
    let told = stage.run("giterctl -C exchange history pump-07", 0)?.stdout;
    let is_told = ["drifted: corrected once", "UnsignedCommit"].iter().all(|event| told.contains(event));
    stage.claim("the record is the log of all that happened", is_told)?;
    let shown = stage.ask(&format!("git -C exchange show --format= {STATUS}"))?.stdout;
    let reads = shown.contains("+  reason: UnsignedCommit");
    stage.claim("and reads as YAML in `git log -p`, by way of giterctl decode", reads)
}

/// Everything the device is told apart from its specs.
fn config(dir: &Path) -> String {
    let at = |path: &str| toml::Value::String(dir.join(path).display().to_string()).to_string();
    let url = toml::Value::String(format!("file://{}", dir.join("hub.git").display()));
    format!(
        "device = \"pump-07\"\n\
         state = {}\n\
         board = \"sim\"\n\n\
         [link]\nurl = {url}\n\n\
         [trust]\nroot = {}\n\n\
         [status]\nkey = {}\n\n\
         [files]\nroots = [{}]\n\n\
         [sim]\nfile = {}\n",
        at("device/state"),
        at("device/root.keys"),
        at("device/device.key"),
        at("device/files"),
        at("device/sim.toml"),
    )
}

/// What `giterctl get` shows, as objects.
fn get(stage: &mut Stage<impl Write>) -> Result<Vec<Value>> {
    let text = stage.ask("giterctl -C hub.git get -o json")?.stdout;
    let list: Value =
        serde_json::from_str(&text).map_err(|e| stage.not_as_told("get prints no JSON".into()).caused_by(e))?;
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}

/// The relay, as `giterctl get` shows it.
fn relay(stage: &mut Stage<impl Write>) -> Result<Value> {
    let rows = get(stage)?;
    rows.into_iter()
        .find(|row| row["kind"] == "GpioLine" && row["metadata"]["name"] == "pump-relay")
        .ok_or_else(|| stage.not_as_told("the relay is not to be seen".into()))
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

fn ready(object: &Value) -> &str {
    condition(object, "Ready")["status"].as_str().unwrap_or_default()
}

/// The commit that a ref of a repository names; nothing where there is none.
fn tip(stage: &mut Stage<impl Write>, repository: &str, name: &str) -> Result<String> {
    Ok(stage.ask(&format!("git -C {repository} rev-parse --verify --quiet {name}"))?.stdout)
}

/// The level of the relay's line.
fn level(stage: &Stage<impl Write>) -> Result<String> {
    let value = register(stage, "gpio", "GPIO17")?;
    Ok(value.as_ref().and_then(toml::Value::as_str).unwrap_or_default().to_owned())
}

fn register(stage: &Stage<impl Write>, section: &str, name: &str) -> Result<Option<toml::Value>> {
    let text = read(stage, "device/sim.toml")?;
    let registers: toml::Table =
        toml::from_str(&text).map_err(|e| stage.not_as_told("the registers are not TOML".into()).caused_by(e))?;
    Ok(registers.get(section).and_then(|section| section.get(name)).cloned())
}

/// Files by path: when each was last written, and its bytes.
type Contents = BTreeMap<PathBuf, (Option<SystemTime>, Vec<u8>)>;

/// Every file below a folder.
fn contents(folder: &Path) -> Result<Contents> {
    let failed = |e| Error::io(Reason::FileFailed, format!("cannot look into {}", folder.display()), e);
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            files.extend(contents(&path)?);
        } else {
            let bytes = fs::read(&path).map_err(failed)?;
            files.insert(path.clone(), (path.metadata().and_then(|metadata| metadata.modified()).ok(), bytes));
        }
    }
    Ok(files)
}

fn read(stage: &Stage<impl Write>, path: &str) -> Result<String> {
    fs::read_to_string(stage.dir().join(path))
        .map_err(|e| stage.not_as_told(format!("{path} cannot be read")).caused_by(e))
}

fn write(stage: &Stage<impl Write>, path: &str, text: &str) -> Result<()> {
    fs::write(stage.dir().join(path), text)
        .map_err(|e| Error::io(Reason::FileFailed, format!("cannot write {path}"), e))
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    if is_plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
