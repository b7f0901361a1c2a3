//! The login of a gateway: what is of the devices that its Device names in `relays`, and of no others.

use giter_edge::{api::limits, codec::keyfile::SecretKey};

use super::{super::forge::Device, FAN, PUMP, Site, device_yaml, key, open, request_ref, status_ref};

const GATE: &str = "site-a/gate";

impl Site {
    /// Has ops say for whom the gateway carries.
    fn publish_gateway(&self, relays: &[&str]) {
        let spec = format!("{{sshKeys: [\"{}\"], relays: [{}]}}", open(&gate_key()), relays.join(", "));
        self.write(&format!("specs/{GATE}/device.yaml"), device_yaml(GATE, &spec));
        self.commit(&format!("a gateway for {}", relays.len()));
        self.accepted(&self.push(&["main"]));
    }

    /// Has the device say something, and brings that to where publishers push from.
    fn says(&self, device: &mut Device, revision: usize) -> String {
        device.go_on(&self.boards, revision);
        let tip = device.tip.unwrap().to_string();
        self.git(&["fetch", "-q", "../hub.git", &tip]);
        format!("{tip}:{}", status_ref(device.id.as_str()))
    }
}

fn gate_key() -> SecretKey {
    key(20)
}

#[test]
fn a_gateway_is_served_what_is_of_those_whom_it_carries_for() {
    let site = Site::new();
    let mut pump = site.boards.stranger(PUMP, 1);
    site.approve(&pump);
    site.publish_gateway(&[PUMP]);
    let refs = [PUMP, FAN, GATE].map(|device| [status_ref(device), request_ref(device)]);
    site.set(refs[1..].iter().flatten().chain([&request_ref(PUMP)]).map(|name| &**name));
    let shown = [request_ref(GATE), request_ref(PUMP), status_ref(GATE)];
    assert_eq!(site.sees(GATE), [&shown[..], &["refs/heads/main".into()]].concat());
    assert_eq!(site.may_push(GATE).0, shown);
    let push = |refspec: &str| site.git_as(GATE, &["push", "-q", &site.url(), refspec]);
    let said = site.says(&mut pump, 2);
    site.accepted(&push(&said));
    assert_eq!(site.value(&status_ref(PUMP)), pump.tip);
    // What it brings is judged as if the device itself did.
    for (refspec, reason) in [
        (format!("+main:{}", status_ref(PUMP)), "NotFastForward"),
        (format!(":{}", status_ref(PUMP)), "DeletionRefused"),
        (format!("+main~1:{}", request_ref(PUMP)), "EnrolmentInvalid"),
        (format!("+main:{}", status_ref(FAN)), "RefNotAllowed"),
        (format!("main:{}/below", status_ref(PUMP)), "RefNotAllowed"),
        ("main:topic".into(), "RefNotAllowed"),
    ] {
        let ran = push(&refspec);
        assert!(ran.code == Some(1) && ran.stderr.contains(&format!("reason: {reason}")), "{refspec}: {}", ran.stderr);
    }
    // Once a publisher takes the name back, there is nothing more of it.
    site.publish_gateway(&[FAN]);
    assert!(!site.sees(GATE).contains(&status_ref(PUMP)));
    let said = site.says(&mut pump, 3);
    let ran = push(&said);
    assert!(ran.code == Some(1) && ran.stderr.contains("reason: RefNotAllowed"), "{}", ran.stderr);
}

#[test]
fn a_device_that_is_named_below_another_is_shown_where_it_is_named() {
    let site = Site::new();
    site.set([&*status_ref(PUMP)]);
    site.publish_gateway(&["site-a"]);
    assert_eq!(site.sees(GATE), ["refs/heads/main"]);
    site.publish_gateway(&["site-a", PUMP]);
    assert_eq!(site.sees(GATE), [&*status_ref(PUMP), "refs/heads/main"]);
}

#[test]
fn a_gateway_that_sshd_names_by_its_key_may_push_for_those_whom_it_carries_for() {
    let site = Site::new();
    let mut pump = site.boards.stranger(PUMP, 1);
    site.write_device(PUMP, &[&pump.key], &[&key(11)]);
    site.publish_gateway(&[FAN]);
    let said = site.says(&mut pump, 2);
    let login = open(&gate_key());
    site.refuses("RefNotAllowed", &["is none of those of site-a/pump-07"], || site.push_as(&login, &[&said]));
    site.publish_gateway(&[FAN, PUMP]);
    site.accepted(&site.push_as(&login, &[&said]));
    let request = format!("main:{}", request_ref(PUMP));
    site.refuses("EnrolmentInvalid", &[], || site.push_as(&login, &[&request]));
    let request = format!("main:{}", request_ref("site-c/new"));
    site.refuses("RefNotAllowed", &["relays"], || site.push_as(&login, &[&request]));
}

#[test]
fn what_stands_below_all_of_them_together_has_a_bound() {
    let site = Site::new();
    site.publish_gateway(&["site-c", "site-d"]);
    let below =
        |top: &str, count| -> Vec<String> { (0..count).map(|n| status_ref(&format!("{top}/dev-{n}"))).collect() };
    let half = limits::NESTED_DEVICES / 2;
    let refs = [below("site-c", half), below("site-d", limits::NESTED_DEVICES - half)].concat();
    site.set(refs.iter().map(|name| &**name));
    assert_eq!(site.sees(GATE), ["refs/heads/main"]);
    site.set([&*status_ref("site-d/one-more")]);
    let asked = format!("git-upload-pack '{}'", site.world().path("guarded.git").display());
    let ran = site.serve(GATE, &asked, b"");
    assert!(ran.code == Some(1) && ran.stderr.ends_with("reason: TooMany\n"), "{}", ran.stderr);
}
