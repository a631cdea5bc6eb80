//! `whyd eval`: how often it is right, on data whose truth is known.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;

use super::{EvalArgs, EvalOf, configured, print};
use crate::evaluation::{self, Evaluation};
use crate::{detect_quality, onset_quality, rca_quality, template_quality};

pub(super) fn eval(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    match args.of {
        EvalOf::Why => why(args),
        EvalOf::Detect => detect(args),
        EvalOf::Onset => onset(args),
        EvalOf::Rca => rca(args),
        EvalOf::Templates => templates(args),
    }
}

fn detect(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    let all = detect_quality::scored(&args.dir)?;
    if let Some(out) = &args.out {
        detect_quality::write(&all, out)?;
    }
    print(&if args.json { serde_json::to_string_pretty(&all)? } else { detect_quality::text(&all) })
}

fn onset(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    let onsets = onset_quality::onsets(&args.dir, &configured(args.config.as_ref())?, args.together)?;
    let json = serde_json::to_string_pretty(&onsets)?;
    if let Some(out) = &args.out {
        std::fs::write(out, &json).with_context(|| format!("{}", out.display()))?;
    }
    print(&if args.json { json } else { onsets.text() })
}

fn rca(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    let told = if args.blind { rca_quality::Told::Nothing } else { rca_quality::Told::Onset };
    let cases = rca_quality::cases(&args.dir, &configured(args.config.as_ref())?, told)?;
    if let Some(out) = &args.out {
        let rankings = serde_json::to_string_pretty(&rca_quality::rankings(&cases))?;
        std::fs::write(out, rankings).with_context(|| format!("{}", out.display()))?;
    }
    let rows = rca_quality::quality(&cases);
    let json = || serde_json::to_string_pretty(&serde_json::json!({ "quality": rows, "cases": cases }));
    print(&if args.json { json()? } else { rca_quality::text(&cases, &rows) })
}

fn templates(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    let mined = template_quality::mined(&args.dir, &configured(args.config.as_ref())?)?;
    if let Some(out) = &args.out {
        std::fs::write(out, template_quality::csv(&mined)).with_context(|| format!("{}", out.display()))?;
    }
    let rows = template_quality::quality(&mined);
    print(&if args.json { serde_json::to_string_pretty(&rows)? } else { template_quality::text(&rows) })
}

fn why(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    let config = configured(args.config.as_ref())?;
    let captures = evaluation::captures(&args.dir)?;
    let mut findings = Vec::new();
    for (n, path) in captures.iter().enumerate() {
        progress(n, captures.len(), &path.display().to_string())?;
        findings.extend(evaluation::look_at(path, &config).with_context(|| format!("{}", path.display()))?);
    }
    progress(captures.len(), captures.len(), "")?;
    let evaluation = Evaluation::of(findings);
    let json = serde_json::to_string_pretty(&evaluation)?;
    if let Some(out) = &args.out {
        std::fs::write(out, &json).with_context(|| format!("{}", out.display()))?;
    }
    print(&if args.json { json } else { evaluation.text() })?;
    let all_right = evaluation.captures_right == evaluation.captures;
    Ok(if all_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line that is drawn over, on a terminal only.
fn progress(done: usize, all: usize, what: &str) -> anyhow::Result<()> {
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        write!(err, "\r\x1b[K")?;
        if done < all {
            write!(err, "{done}/{all} {what}")?;
        }
        err.flush()?;
    }
    Ok(())
}
