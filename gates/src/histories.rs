//! Runs a property over random histories, and prints the replay command of a failure.
//!
//! The seed is fixed, so a passed gate passes again; set `PROPTEST_RNG_SEED` and `PROPTEST_CASES` to look elsewhere.
//! The seeds of past failures are kept in `gates/proptest-regressions` and tried first.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestCaseResult, TestError, TestRunner};

/// The seed, unless `PROPTEST_RNG_SEED` is set.
pub const SEED: u64 = 0x5eed;

/// The number of cases for each property, unless `PROPTEST_CASES` is set.
pub const CASES: u32 = 512;

/// The name of a property: the file in `gates/tests`, and the test in the file.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// The name of the file, without the extension.
    pub file: &'static str,
    /// The name of the test.
    pub test: &'static str,
    /// The file with the seeds of failures, relative to the root of this crate.
    pub regressions: &'static str,
}

/// The name of the surrounding test as a property: `property!("release", at_most_once)`.
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
    /// The command to run the property again, beginning with the failed cases.
    pub fn replay(&self) -> String {
        format!("cargo test -p rekindle-gates --test {} -- --exact {}", self.file, self.test)
    }

    /// Checks `body` on values of `strategy`.
    ///
    /// # Panics
    /// If `body` fails: with the smallest failing value and the replay command.
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
