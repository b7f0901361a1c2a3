//! What roots sign beside commits: the charter, and a reset where one stands beside it.

use giter_edge::{
    api::{Error, Exchange, Finding, Findings, Reason, Result, limits},
    codec::{
        charter::{self, Charter},
        manifest, reset,
    },
    reconcile::decode::{EntryKind, Source},
};

use super::worktree::WorkingTree;

/// All that is wrong with them.
///
/// # Errors
///
/// They cannot be read.
pub(super) fn judge(tree: &WorkingTree) -> Result<Findings> {
    let mut findings = files(tree)?;
    if !findings.is_empty() {
        return Ok(findings);
    }
    let exchange = match tree.bytes(charter::PATH)? {
        Some(bytes) => manifest::parse_exchange(charter::PATH, &bytes).map(Some),
        None => Ok(None),
    };
    match exchange {
        Ok(exchange) => findings.append(judge_reset(tree, exchange.as_ref())?),
        Err(wrong) => {
            findings.append(wrong);
            findings.append(judge_reset(tree, None)?);
        }
    }
    Ok(findings)
}

/// Each of them is a file itself.
fn files(tree: &WorkingTree) -> Result<Findings> {
    let papers = [charter::PATH, charter::SIGNATURE_PATH, reset::PATH, reset::SIGNATURE_PATH];
    let mut findings = Findings::default();
    for entry in tree.list("", &tree.root()).map_err(Error::from)? {
        if papers.contains(&&*entry.name) && entry.kind != EntryKind::File {
            findings.push(finding(Reason::BadTreeEntry, &entry.name, "", "put the file itself here".into()));
        }
    }
    Ok(findings)
}

/// A reset has to be one that devices would believe now: they follow it seldom, and then need it.
fn judge_reset(tree: &WorkingTree, exchange: Option<&Exchange>) -> Result<Findings> {
    let Some(bytes) = tree.bytes(reset::PATH)? else { return Ok(Findings::default()) };
    let mut findings = Findings::default();
    match manifest::parse_reset(reset::PATH, &bytes) {
        Ok(reset) => {
            if let Some(exchange) = exchange.filter(|exchange| exchange.id != reset.exchange) {
                let what = format!("this exchange is {}", exchange.id);
                findings.push(finding(Reason::ExchangeMismatch, reset::PATH, "spec.exchange", what));
            }
        }
        Err(wrong) => findings.append(wrong),
    }
    let signatures = tree.bytes(reset::SIGNATURE_PATH)?.unwrap_or_default();
    if signatures.len() > limits::CHARTER_SIGNATURE_BYTES {
        let what = format!("it has more than {} bytes", limits::CHARTER_SIGNATURE_BYTES);
        findings.push(finding(Reason::FileTooLarge, reset::SIGNATURE_PATH, "", what));
    } else if let Some(Ok(Charter { roots, .. })) = exchange.map(Charter::of)
        && let Err(error) = reset::read(&roots, &bytes, &signatures, 0)
        && error.reason() == Reason::UntrustedKey
    {
        let what = format!("{}; a reset that is spent can go", error.one_line());
        findings.push(finding(error.reason(), reset::PATH, "", what));
    }
    Ok(findings)
}

fn finding(reason: Reason, path: &str, field: &str, message: String) -> Finding {
    Finding { reason, path: path.into(), at: None, field: field.into(), message }
}
