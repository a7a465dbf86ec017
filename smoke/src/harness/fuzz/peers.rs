//! A round with a hostile peer.

use super::super::rng::Rng;
use super::super::trouble::Trouble;
use super::peer::{self, Manner};
use super::round::{Round, SESSION};
use super::verb::Verb;
use crate::Account;
use serde_json::Value;
use std::env;

/// The number of talking verbs in a round, before a verb of any kind.
const TALKING_VERBS: usize = 2;

/// The file that makes the peer hostile.
const SWITCH_NAME: &str = "hostile";

/// Plays one round.
pub(super) fn round(seed: u64) -> Result<Value, Trouble> {
    let mut rng = Rng::new(seed);
    let mut round = Round::new(Account::Ours);
    let peer = rng.number();
    let (manner, stage) = Manner::of(peer);
    let program = env::current_exe().expect("this program knows where it is").display().to_string();
    round.names.worker = vec![program.clone()];
    round.names.pool_worker = vec![program];
    round.environment = vec![
        (peer::SEED.to_owned(), peer.to_string()),
        (peer::SWITCH.to_owned(), round.env.path(SWITCH_NAME).display().to_string()),
    ];
    match rng.below(4) {
        0 => {
            turn_hostile(&round);
            round.meets(&format!("{manner:?}"), &format!("{stage:?}, from the start"));
        }
        1 => {
            up(&mut round)?;
            round.meets(&format!("{manner:?}"), &format!("{stage:?}, after `up`"));
        }
        _ => {
            run_in_pool(&mut round)?;
            round.meets(&format!("{manner:?}"), &format!("{stage:?}, after `pool run`"));
        }
    }
    turn_hostile(&round);
    for _ in 0..TALKING_VERBS {
        round.run(Verb::any_talking(&mut rng))?;
    }
    round.run(Verb::any(&mut rng))?;
    round.finish()
}

fn turn_hostile(round: &Round) {
    round.env.file(SWITCH_NAME, "");
}

fn up(round: &mut Round) -> Result<(), Trouble> {
    let mut args = ["up", "--timeout", "20s", SESSION, "--"].map(str::to_owned).to_vec();
    args.extend(round.names.worker.iter().cloned());
    round.prepare(args).map(drop)
}

fn run_in_pool(round: &mut Round) -> Result<(), Trouble> {
    let mut args = ["pool", "run", "--speak", "1", "--code", "q", "--"].map(str::to_owned).to_vec();
    args.extend(round.names.pool_worker.iter().cloned());
    let reply = round.prepare(args)?;
    let session = reply.text("session_id").to_owned();
    round.names.socket = round.env.socket(&session).display().to_string();
    round.names.session = session.clone();
    round.names.pool_session = session;
    Ok(())
}
