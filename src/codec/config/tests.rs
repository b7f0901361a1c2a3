use super::{
    given::{KEYS, LISTS, variable},
    *,
};
use crate::api::Reason;

const SMALLEST: &str = "device = \"site-a/pump-07\"\n[link]\nurl = \"ssh://git@hub/exchange.git\"\n";

fn from(text: &str, environment: &[(&str, &str)]) -> Result<Config> {
    let environment = environment.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    read(Path::new("giterd.toml"), text, environment)
}

fn refusal(text: &str) -> String {
    let error = from(text, &[]).unwrap_err();
    assert_eq!(error.reason(), Reason::BadConfig);
    error.to_string()
}

#[test]
fn the_smallest_file_has_sensible_defaults() {
    let config = from(SMALLEST, &[]).unwrap();
    assert_eq!(config.device.as_str(), "site-a/pump-07");
    assert_eq!(config.link.branch, "main");
    assert_eq!(config.link.interval, Duration::from_secs(30));
    assert_eq!(config.trust.verify, Policy::Range);
    assert_eq!(config.status.heartbeat, Duration::from_secs(3600));
    assert_eq!((config.status.coalesce, config.status.budget), (Duration::from_secs(10), Some(256_000)));
    assert!(config.file_roots.is_empty());
}

#[test]
fn the_environment_wins() {
    let environment = [("GITERD_LINK_BRANCH", "test"), ("GITERD_FILES_ROOTS", "/etc:/srv"), ("PATH", "/bin")];
    let config = from(SMALLEST, &environment).unwrap();
    assert_eq!(config.link.branch, "test");
    assert_eq!(config.file_roots, [PathBuf::from("/etc"), "/srv".into()]);
    let error = from(SMALLEST, &[("GITERD_LINK_BRANHC", "x")]).unwrap_err();
    assert_eq!(error.to_string(), "GITERD_LINK_BRANHC: no such key");
    assert!(error.get_hint().unwrap().contains("link.branch"));
}

#[test]
fn every_key_can_be_given_both_ways() {
    for key in KEYS {
        let value = match *key {
            "device" => "a",
            "link.ssh" => "builtin",
            "link.algorithms" => "short",
            "link.hold" => "never",
            "link.watch" => "on",
            "link.interval" | "link.splay" | "link.timeout" | "drift.interval" => "5m",
            "status.heartbeat" | "status.coalesce" => "5m",
            "status.budget" | "relay.bytes" => "64kB",
            "relay.devices" => "b/c",
            "trust.verify" => "tip",
            "trust.exchange" => "0123456789abcdef0123456789abcdef",
            "status.format" => "yaml",
            "status.prefix" => "refs/giter/s",
            "files.roots" | "stick.watch" => "/a",
            "stick.mount" => "auto",
            "stick.at" => "/a/b",
            _ => "x",
        };
        let with_variable = from(SMALLEST, &[(&variable(key), value)]);
        assert!(with_variable.is_ok(), "{key}: {with_variable:?}");
        let line = match key.split_once('.') {
            Some((section, name)) if LISTS.contains(key) => format!("{SMALLEST}[{section}]\n{name} = [\"{value}\"]\n"),
            Some((section, name)) if section != "link" => format!("{SMALLEST}[{section}]\n{name} = \"{value}\"\n"),
            Some((_, "url")) | None => continue,
            Some((_, name)) => format!("{SMALLEST}{name} = \"{value}\"\n"),
        };
        assert_eq!(from(&line, &[]).unwrap(), with_variable.unwrap(), "{key}");
    }
}

#[test]
fn a_connection_is_held_where_the_next_poll_is_near() {
    let held = |more: &str| from(&format!("{SMALLEST}{more}"), &[]).unwrap().link.hold();
    assert_eq!(held(""), limits::HELD);
    assert_eq!(held("interval = \"5m\"\n"), limits::HELD);
    assert_eq!(held("interval = \"6m\"\n"), Duration::ZERO);
    assert_eq!(held("interval = \"1h\"\nwatch = \"on\"\n"), limits::HELD);
    assert_eq!(held("hold = \"never\"\n"), Duration::ZERO);
    let refused = refusal(&format!("{SMALLEST}hold = \"never\"\nwatch = \"on\"\n"));
    assert!(refused.starts_with("giterd.toml:5:1: link.watch: it needs a connection that is held"), "{refused}");
}

#[test]
fn a_budget_is_a_size() {
    let of = |text: &str| from(SMALLEST, &[("GITERD_STATUS_BUDGET", text)]).unwrap().status.budget;
    let sizes = ["0", "3000B", "64kB", "64 KiB", "1MB", "2MiB"].map(of);
    assert_eq!(sizes, [None, Some(3_000), Some(64_000), Some(65_536), Some(1_000_000), Some(2_097_152)]);
}

#[test]
fn sticks_are_watched_where_they_are_usually_mounted() {
    let of = |text: &str| from(text, &[]).unwrap().stick;
    let stick = of(SMALLEST);
    assert_eq!(stick.watch, [PathBuf::from("/media"), "/run/media".into()]);
    assert_eq!((stick.mount, &stick.led), (Mounting::Never, &None));
    assert!(stick.is_watched());
    let off = format!("{SMALLEST}[stick]\nwatch = []\n");
    assert!(!of(&off).is_watched());
    assert_eq!(from(SMALLEST, &[("GITERD_STICK_WATCH", "")]).unwrap().stick, of(&off));
    assert!(of(&format!("{off}mount = \"auto\"\n")).is_watched());
    assert_eq!(of(&format!("{off}led = \"\"\n")).led.as_deref(), Some(""));
}

#[test]
fn where_the_agent_mounts_is_a_folder_of_its_own() {
    for wrong in ["stick", "/", "/run", "/run/../etc/x", "//run"] {
        let refused = refusal(&format!("{SMALLEST}[stick]\nat = \"{wrong}\"\n"));
        assert!(refused.starts_with("giterd.toml:5:1: stick.at: "), "{refused}");
    }
}

#[test]
fn a_gateway_carries_for_others() {
    let with = |more: &str| from(&format!("{SMALLEST}[relay]\n{more}\n"), &[]).map(|config| config.relay);
    let relay = with("devices = [\"site-a/pump-08\", \"b\", \"b\"]").unwrap();
    assert_eq!(relay.devices, ["site-a/pump-08", "b"].map(|device| device.parse().unwrap()));
    assert_eq!((relay.folder, relay.bytes), ("/var/lib/giter/relay".into(), 64 << 20));
    assert_eq!(with("folder = \"/srv\"\nbytes = \"1MB\"").unwrap().bytes, 1_000_000);
    let refused = |more: &str| with(more).unwrap_err().to_string();
    assert!(refused("devices = [\"site-a/pump-07\"]").ends_with("site-a/pump-07 is this device itself"));
    assert!(refused("devices = [\"B\"]").starts_with("giterd.toml:5:1: relay.devices: a device is"));
    assert!(refused("bytes = \"much\"").contains("such as 64kB"));
    let many: Vec<_> = (0..=limits::RELAY_DEVICES).map(|count| format!("\"d{count}\"")).collect();
    assert!(refused(&format!("devices = [{}]", many.join(","))).ends_with("more than 256 devices"));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let with = |more: &str| refusal(&format!("{SMALLEST}{more}"));
    assert_eq!(with("brnach = \"x\"\n"), "giterd.toml:4:1: unknown key 'link.brnach'");
    assert_eq!(with("interval = 30\n"), "giterd.toml:4:1: link.interval is one text, in quotes");
    assert_eq!(with("branch = [\"main\"]\n"), "giterd.toml:4:1: link.branch is one text, in quotes");
    for (section, name, value) in
        [("relay", "devices", "\"b\""), ("files", "roots", "\"/etc\""), ("stick", "watch", "[\"/media\", 1]")]
    {
        let refused = with(&format!("[{section}]\n{name} = {value}\n"));
        assert!(refused.starts_with(&format!("giterd.toml:5:1: {section}.{name} is a list of texts")), "{refused}");
    }
    assert!(with("ssh = \"putty\"\n").ends_with("link.ssh: it is system or builtin"));
    assert!(with("interval = \"0s\"\n").starts_with("giterd.toml:4:1: link.interval: it is longer than"));
    assert!(with("interval = \"soon\"\n").contains("such as 30s"));
    assert!(with("branch = \"../x\"\n").contains("not a branch name"));
    assert!(with("[status]\nprefix = \"refs/heads/x\"\n").contains("outside refs/heads/"));
    for budget in
        ["64", "kB", "-1kB", "64 kb", "1.5MB", "0kB", "2999B", "99999999999999999999B", "18446744073709551615MB"]
    {
        let refused = with(&format!("[status]\nbudget = \"{budget}\"\n"));
        assert!(refused.starts_with("giterd.toml:5:1: status.budget: "), "{refused}");
    }
    assert!(with("[files]\nroots = [\"etc\"]\n").contains("not an absolute path"));
    assert!(with("[stick]\nwatch = [\"media\"]\n").contains("stick.watch: 'media' is not an absolute path"));
    assert!(with("[stick]\nmount = \"yes\"\n").ends_with("stick.mount: it is never or auto"));
    assert!(with("url = \"twice\"\n").starts_with("giterd.toml:4:1: "));
    assert!(with("broken").starts_with("giterd.toml:4:"));
    assert!(refusal("[link]\nurl = \"x\"\n").contains("device is missing"));
    assert!(refusal("device = \"A\"\n[link]\nurl = \"x\"\n").starts_with("giterd.toml:1:1: device: a device is"));
    assert!(refusal(&" ".repeat(limits::CONFIG_BYTES + 1)).contains("longer than"));
}
