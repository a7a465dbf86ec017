//! Runs a property over random histories, and says how to replay a failure.
//!
//! The seed is fixed, so that a gate that passed passes again; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` look
//! elsewhere. The seeds of past failures are kept in `gates/proptest-regressions` and tried first.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestCaseResult, TestError, TestRunner};

/// The seed unless `PROPTEST_RNG_SEED` names another.
pub const SEED: u64 = 0x5eed;

/// The cases that each property tries unless `PROPTEST_CASES` names another number.
pub const CASES: u32 = 512;

/// Which property is checked: the file in `gates/tests`, and the test in it.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// The name of the file, without its ending.
    pub file: &'static str,
    /// The name of the test.
    pub test: &'static str,
    /// Where the seeds of its failures are kept, from the root of this crate.
    pub regressions: &'static str,
}

/// Names the property that the surrounding test is: `property!("release", at_most_once)`.
#[macro_export]
macro_rules! property {
    ($file:literal, $test:ident) => {
        $crate::histories::Property {
            file: $file,
            test: stringify!($test),
            regressions: concat!("proptest-regressions/", $file, ".txt"),
        }
    };
}

impl Property {
    /// The command that runs it, and the cases that failed before first of all.
    pub fn replay(&self) -> String {
        format!("cargo test -p rekindle-gates --test {} -- --exact {}", self.file, self.test)
    }

    /// Checks `body` on values of `strategy`.
    ///
    /// # Panics
    /// If it fails: with the smallest value that makes it, and the command that replays it.
    pub fn check<S: Strategy>(&self, strategy: &S, body: impl Fn(S::Value) -> TestCaseResult) {
        match TestRunner::new(self.config()).run(strategy, body) {
            Ok(()) => {}
            Err(TestError::Fail(why, smallest)) => {
                panic!("{why}\nsmallest history: {smallest:#?}\nreplay with: {}", self.replay())
            }
            Err(TestError::Abort(why)) => panic!("{why}\nrun again with: {}", self.replay()),
        }
    }

    fn config(&self) -> Config {
        let mut config = Config {
            failure_persistence: Some(Box::new(FileFailurePersistence::Direct(self.regressions))),
            ..Config::default()
        };
        if matches!(config.rng_seed, RngSeed::Random) {
            config.rng_seed = RngSeed::Fixed(SEED);
        }
        if std::env::var_os("PROPTEST_CASES").is_none() {
            config.cases = CASES;
        }
        config
    }
}
