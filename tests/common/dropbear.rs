//! A real dropbear, which looks for an account's keys nowhere but in the account's home: in a mount namespace of its own,
//! that is the server's folder.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use super::sshd::{is_root, run};

const DROPBEAR: &str = "/usr/sbin/dropbear";

/// Makes what dropbear needs of a folder that has an OpenSSH host key and an authorized_keys file.
pub(crate) fn prepare(folder: &Path) {
    assert!(Path::new(DROPBEAR).exists(), "{DROPBEAR} is missing: apt-get install dropbear-bin");
    let (from, to) = (folder.join("host_key"), folder.join("host_key.dropbear"));
    run(Command::new("dropbearconvert").args(["openssh", "dropbear"]).args([from, to]));
    let home = folder.join("home");
    for path in [home.clone(), home.join(".ssh")] {
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    }
    fs::copy(folder.join("authorized_keys"), home.join(".ssh/authorized_keys")).unwrap();
    let name = run(Command::new("id").arg("-un"));
    let account = |line: &str| {
        let mut fields: Vec<_> = line.split(':').map(str::to_owned).collect();
        if fields[0] == name.trim() {
            fields[5] = home.display().to_string();
            fields[6] = "/bin/sh".to_owned();
        }
        fields.join(":") + "\n"
    };
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    fs::write(folder.join("passwd"), accounts.lines().map(account).collect::<String>()).unwrap();
}

/// The server for one connection, on its standard input and output. What a session runs sees its environment.
pub(crate) fn command(folder: &Path, forced: bool) -> Command {
    let mut dropbear = format!("{DROPBEAR} -i -e -m -s -r {}/host_key.dropbear", folder.display());
    if forced {
        dropbear.push_str(&format!(" -c {}/forced", folder.display()));
    }
    let mount = format!("mount --bind {}/passwd /etc/passwd", folder.display());
    let mut unshare = Command::new("unshare");
    if is_root() {
        unshare.args(["--mount", "sh", "-c", &format!("{mount} && exec {dropbear}")]);
    } else {
        // Only a root may mount, and only this user may log in.
        let own = format!("{mount} && exec unshare --user --map-user=$0 --map-group=$1 {dropbear}");
        unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", &own]);
        unshare.args(["-u", "-g"].map(|which| run(Command::new("id").arg(which)).trim().to_owned()));
    }
    unshare.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env_remove("GIT_PROTOCOL");
    unshare
}
