//! The live suite: `LIVE=1 just smoke [FILTER]`, and as an ordinary user `LIVE=1 just smoke-as-user`. One file a subject;
//! what they stand on is in the library.

mod advice;
mod bytes;
mod claim;
mod conformance;
mod containers;
mod foreign_files;
mod hints;
mod modes;
mod names;
mod namespaces;
mod output;
mod patience;
mod places;
mod reload;
mod removal;
mod s10_pool_worker;
mod s10_protocol;
mod s10_ready;
mod s10_serve;
mod s11_listen;
mod s11_notify;
mod s12_large_parent;
mod s13_pool;
mod s1_probe;
mod s1_swap;
mod s1_watch;
mod s2_child;
mod s2_companions;
mod s2_failures;
mod s2_lifeline;
mod s2_world;
mod s3_adoption;
mod s3_claims;
mod s3_crash;
mod s3_daemons;
mod s3_library;
mod s3_records;
mod s3_refusals;
mod s3_reuse;
mod s3_stop;
mod s3_timeouts;
mod s4_workers;
mod s5_contention;
mod s6_harness;
mod s7_adversity;
mod s8_looking_after;
mod s9_detached;
mod s9_events;
mod s9_guardian;
mod s9_leaks;
mod s9_lifecycle;
mod s9_mcp;
mod s9_nonblocking;
mod s9_orphans;
mod s9_patience;
mod s9_stdio;
mod s9_supervise;
mod scale;
mod secrets;
mod shortages;
mod state_root;
mod strangers;
mod successors;

use rekindle_smoke::{harness, reaper, suite};
use std::process::ExitCode;

fn main() -> ExitCode {
    harness::serve_if_lane()
        .or_else(s12_large_parent::serve_if_large_parent)
        .unwrap_or_else(|| reaper::under_one(all))
}

fn all() -> ExitCode {
    let files = [
        s1_probe::trials,
        s1_swap::trials,
        s1_watch::trials,
        hints::trials,
        s2_child::trials,
        s2_companions::trials,
        s2_failures::trials,
        s2_lifeline::trials,
        s2_world::trials,
        claim::trials,
        bytes::trials,
        reload::trials,
        shortages::trials,
        s3_timeouts::trials,
        s3_refusals::trials,
        s3_claims::trials,
        s3_adoption::trials,
        s3_crash::trials,
        s3_daemons::trials,
        s3_stop::trials,
        s3_records::trials,
        s3_reuse::trials,
        s3_library::trials,
        s4_workers::trials,
        s5_contention::trials,
        s6_harness::trials,
        s7_adversity::trials,
        s8_looking_after::trials,
        advice::trials,
        s9_lifecycle::trials,
        s10_protocol::trials,
        s10_serve::trials,
        s10_pool_worker::trials,
        s13_pool::trials,
        patience::trials,
        secrets::trials,
        output::trials,
        s11_notify::trials,
        s11_listen::trials,
        s10_ready::trials,
        namespaces::trials,
        containers::trials,
        strangers::trials,
        removal::trials,
        state_root::trials,
        successors::trials,
        scale::trials,
        s9_stdio::trials,
        s9_guardian::trials,
        s9_detached::trials,
        s9_supervise::trials,
        s9_patience::trials,
        s9_nonblocking::trials,
        s9_events::trials,
        s9_orphans::trials,
        s9_leaks::trials,
        s9_mcp::trials,
        s12_large_parent::trials,
        places::trials,
        modes::trials,
        foreign_files::trials,
        names::trials,
        conformance::trials,
    ];
    suite::main(files.iter().flat_map(|trials| trials()).collect())
}
