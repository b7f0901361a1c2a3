//! A hub with the hook, by real pushes: what it refuses and in which words, and what it lets in.

mod branch;
mod enrolment;
mod going_back;
mod install;
mod keys;
mod refs;
mod relays;
mod serve;
mod status;
mod watch;

use std::{ffi::OsStr, fs};

use giter_edge::{api::Oid, codec::keyfile::SecretKey};

use super::{
    forge::{self, Device},
    support::{OPS_KEY, OPS_PUB, Ran, World, run},
};

/// The devices of the exchange.
const PUMP: &str = "site-a/pump-07";
const FAN: &str = "site-b/fan-01";

/// A hub with the hook, the work tree of its publisher, and the repository that devices push from.
pub(crate) struct Site {
    /// Where devices push from.
    boards: forge::Hub,
}

impl Site {
    /// A hub whose branch has a first commit, of two devices and an unsigned charter.
    fn new() -> Self {
        let site = Self::empty();
        site.accepted(&site.push(&["main"]));
        site
    }

    /// Likewise, before the first push.
    fn empty() -> Self {
        let site = Self { boards: forge::Hub::new() };
        let world = site.world();
        world.write_key("ops.key", OPS_KEY);
        world.write("ops.key.pub", OPS_PUB);
        let device = |id| ["--device", id];
        let args = [&["init", "work", "--key", "ops.key"][..], &device(PUMP), &device(FAN)].concat();
        world.giterctl(&args).good();
        world.giterctl(&["init", "--hub", "guarded.git", "--root", "work/root.keys"]).good();
        site.git(&["rm", "-q", "exchange.yaml.sig"]);
        site.git(&["commit", "-q", "--amend", "-S", "-m", "Found the exchange"]);
        site
    }

    fn world(&self) -> &World {
        &self.boards.world
    }

    /// Runs git in the work tree.
    fn git(&self, args: &[&str]) -> String {
        self.world().git(&[&["-C", "work"], args].concat())
    }

    /// Runs git in the hub.
    fn hub(&self, args: &[&str]) -> String {
        self.world().git(&[&["-C", "guarded.git"], args].concat())
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        self.world().write(&format!("work/{path}"), text);
    }

    /// Commits the work tree, signed by ops.
    fn commit(&self, message: &str) -> Oid {
        self.commit_by("ops.key", message)
    }

    /// Commits the work tree, signed with a key; without one, unsigned.
    fn commit_by(&self, key: &str, message: &str) -> Oid {
        let key = match key {
            "" => String::new(),
            key => self.world().path(key).display().to_string(),
        };
        let sign = if key.is_empty() { "--no-gpg-sign" } else { "-S" };
        let signing = format!("user.signingkey={key}");
        self.git(&["add", "--all"]);
        self.git(&["-c", &signing, "commit", "-q", "--allow-empty", sign, "-m", message]);
        self.head()
    }

    fn head(&self) -> Oid {
        self.git(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    /// Makes the work tree what the hub's branch is.
    fn reset(&self) {
        let tip = self.value("refs/heads/main").unwrap().to_string();
        self.git(&["checkout", "-q", "-f", "-B", "main", &tip]);
        self.git(&["clean", "-q", "-fdx"]);
    }

    /// A ref of the hub's.
    fn value(&self, name: &str) -> Option<Oid> {
        self.hub(&["for-each-ref", "--format=%(objectname)", name]).parse().ok()
    }

    /// Pushes from the work tree.
    fn push(&self, refspecs: &[&str]) -> Ran {
        self.push_from("work", refspecs, &[])
    }

    /// Pushes from the repository of the devices.
    fn push_board(&self, refspecs: &[&str]) -> Ran {
        self.push_from("hub.git", refspecs, &[])
    }

    /// Pushes a device's record to its ref.
    fn push_status(&self, device: &Device) -> Ran {
        self.push_board(&[&format!("{}:{}", device.tip.unwrap(), status_ref(device.id.as_str()))])
    }

    /// The same, although it is not on top of what is there.
    fn push_forced(&self, device: &Device) -> Ran {
        self.push_board(&[&format!("+{}:{}", device.tip.unwrap(), status_ref(device.id.as_str()))])
    }

    /// Pushes as if sshd had told with which key somebody logged in.
    fn push_as(&self, key: &str, refspecs: &[&str]) -> Ran {
        self.world().write("login", format!("publickey {key}\n"));
        self.push_from("work", refspecs, &[("SSH_USER_AUTH", self.world().path("login").as_os_str())])
    }

    fn push_from(&self, folder: &str, refspecs: &[&str], env: &[(&str, &OsStr)]) -> Ran {
        let mut command = self.world().command("git");
        let hub = self.world().path("guarded.git");
        command.args(["-C", folder, "push", "--quiet"]).arg(hub).args(refspecs).envs(env.iter().copied());
        run(&mut command, b"")
    }

    /// That a push was let in, without a word.
    #[track_caller]
    fn accepted(&self, ran: &Ran) {
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    }

    /// That a push was refused and nothing moved; what the hook said, without git's `remote:`.
    #[track_caller]
    fn refused(&self, push: impl FnOnce() -> Ran) -> String {
        let before = self.hub(&["for-each-ref"]);
        let ran = push();
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert_eq!(self.hub(&["for-each-ref"]), before);
        let remote = ran.stderr.lines().filter_map(|line| line.strip_prefix("remote: "));
        remote.map(|line| format!("{}\n", line.trim_end())).collect()
    }

    /// That a push is refused for one reason, in words that hold these.
    #[track_caller]
    fn refuses(&self, reason: &str, words: &[&str], push: impl FnOnce() -> Ran) {
        self.refuses_case("a push", reason, words, push);
    }

    /// Likewise, of one case among others.
    #[track_caller]
    fn refuses_case(&self, case: &str, reason: &str, words: &[&str], push: impl FnOnce() -> Ran) {
        let said = self.refused(push);
        assert!(said.contains(&format!("reason: {reason}\n")), "{case}: {said}");
        assert!(said.contains("hint: "), "{case}: {said}");
        assert_eq!(said.matches("reason: ").count(), 1, "{case}: {said}");
        for word in words {
            assert!(said.contains(word), "{case}: no {word:?} in: {said}");
        }
    }

    /// A line of so many unsigned commits, where devices push from; its end.
    fn line(&self, count: usize) -> String {
        let commit = "commit refs/heads/line\ncommitter A <a@b> 1700000000 +0000\ndata 1\nx\n";
        let stream = format!("reset refs/heads/line\n{}done\n", commit.repeat(count));
        self.world().git_with(&["-C", "hub.git", "fast-import", "--quiet", "--force"], stream.as_bytes());
        self.world().git(&["-C", "hub.git", "rev-parse", "line"])
    }

    /// Has ops approve a device by its key, in a commit that is pushed.
    fn approve(&self, device: &Device) {
        self.write_device(device.id.as_str(), &[&device.key], &[]);
        self.commit("approve a device");
        self.accepted(&self.push(&["main"]));
    }

    /// Writes a Device resource.
    fn write_device(&self, id: &str, status: &[&SecretKey], ssh: &[&SecretKey]) {
        let quoted = |key: &&SecretKey| format!("\"{}\"", open(key));
        let status: Vec<_> = status.iter().map(|key| format!("{{key: {}}}", quoted(key))).collect();
        let ssh: Vec<_> = ssh.iter().map(quoted).collect();
        let spec = format!("{{statusKeys: [{}], sshKeys: [{}]}}", status.join(", "), ssh.join(", "));
        self.write(&format!("specs/{id}/device.yaml"), device_yaml(id, &spec));
    }

    /// Signs the charter anew, with what its spec holds besides.
    fn write_charter(&self, serial: u32, rest: &str) {
        let text = fs::read_to_string(self.world().path("work/exchange.yaml")).unwrap();
        let id = text.lines().find_map(|line| line.trim().strip_prefix("id: ")).unwrap().to_owned();
        let id = id.split_whitespace().next().unwrap().to_owned();
        let text = format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: Exchange\nmetadata: {{name: plant-7}}\nspec:\n  id: {id}\n  \
             serial: {serial}\n  branch: main\n  roots: [\"{}\"]\n{rest}",
            OPS_PUB.trim()
        );
        self.write("exchange.yaml", text);
        let _ = fs::remove_file(self.world().path("work/exchange.yaml.sig"));
        let key = self.world().path("ops.key").display().to_string();
        let file = self.world().path("work/exchange.yaml").display().to_string();
        self.world().run("ssh-keygen", &["-q", "-Y", "sign", "-n", "giter-exchange", "-f", &key, &file]);
    }

    /// A key of a publisher, in a file; its public half.
    fn keygen(&self, name: &str) -> String {
        let file = self.world().path(name).display().to_string();
        self.world().run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &file]);
        self.world().read(&format!("{name}.pub")).trim().to_owned()
    }
}

fn device_yaml(id: &str, spec: &str) -> String {
    let name = id.rsplit('/').next().unwrap();
    format!("apiVersion: edge.giter.dev/v1alpha1\nkind: Device\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

fn status_ref(device: &str) -> String {
    format!("refs/giter/status/{device}")
}

fn request_ref(device: &str) -> String {
    format!("refs/giter/enroll/{device}")
}

fn open(key: &SecretKey) -> String {
    key.public().to_openssh()
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}
