//! `rekindle ls --all`

use crate::report::{Exit, Report, table_width};
use crate::text::{self, Line, Page};
use rekindle::frontend::{Shown, now, shell_quoted};
use rekindle::json::look::AllJson;
use rekindle::project::Root;
use rekindle::{Listing, Sessions};

pub(crate) fn run(report: &Report) -> Exit {
    let roots = match Root::all() {
        Ok(roots) => roots,
        Err(error) => return report.error(&error),
    };
    let mut exit = Exit::Done;
    let mut shown: Vec<(Root, Listing)> = Vec::new();
    for root in roots {
        if let Some(trouble) = &root.trouble {
            report.progress(&format!("the project of `{}` is not known: {trouble}", Shown(&root.dir)));
            exit = Exit::Failed;
        }
        match Sessions::open(&root.dir).and_then(|sessions| sessions.list()) {
            Ok(listing) => {
                exit = exit.or_worse(report.left_out(&listing.left_out));
                shown.push((root, listing));
            }
            // A root that cannot be read must not hide the others.
            Err(error) => {
                report.progress(&format!("`{}` was left out: {error}", Shown(&root.dir)));
                exit = Exit::Failed;
            }
        }
    }
    let roots = shown.iter().map(|(root, listing)| root.to_json(&listing.sessions)).collect();
    report.page(|| page(&shown), AllJson { roots });
    exit
}

fn page(shown: &[(Root, Listing)]) -> Page {
    let parts: Vec<Page> = shown.iter().map(|(root, listing)| part(root, listing)).collect();
    parts.join(&Line::default())
}

fn part(root: &Root, listing: &Listing) -> Page {
    let mut lines = vec![Line::plain(match &root.project {
        None => Shown(&root.dir).to_string(),
        Some(file) => format!("{} (project {})", Shown(&root.dir), Shown(file)),
    })];
    lines.extend(gone(root).map(Line::plain));
    let width = Some(table_width().saturating_sub(2));
    let rows = text::ls::page(&listing.sessions, now(), width);
    lines.extend(rows.into_iter().map(|row| Line::plain("  ").followed_by(row)));
    lines
}

/// What to do about a root without its project file.
fn gone(root: &Root) -> Option<String> {
    root.is_orphaned().then(|| {
        let dir = shell_quoted(&root.dir);
        format!("  the project file is gone; to end the sessions: rekindle stop --all --dir {dir}")
    })
}

/// Reports a state root whose project file is gone.
pub(super) fn report_gone(sessions: &Sessions, report: &Report) {
    let root = Root::at(sessions.dir().to_owned());
    if let (Some(file), true) = (&root.project, root.is_orphaned()) {
        report.progress(&format!("the project file `{}` of this state directory is gone", Shown(file)));
    }
}
