//! The logs of a worker: how much a cut removes, and what the index says of lines and times.

use proptest::prelude::*;
use rekindle_core::SpawnBgPlan;
use rekindle_core::logs::cut::Extent;
use rekindle_core::logs::index::{Cutting, Head, LogIndex, STAMP_APART_MS, STAMPS_MAX};
use rekindle_core::logs::{LogMax, LogStream};
use rekindle_gates::builders::plan;
use rekindle_gates::property;

const MIB: u64 = 1 << 20;

#[test]
fn a_bound_is_read_and_written_in_units() {
    let read = |text: &str| text.parse::<LogMax>().map(LogMax::bytes);
    assert_eq!(read("64m"), Ok(Some(64 * MIB)));
    assert_eq!((read("0"), read("0g")), (Ok(None), Ok(None)));
    assert_eq!((read("1"), read("512k"), read("2g")), (Ok(Some(1)), Ok(Some(512 << 10)), Ok(Some(2 << 30))));
    for wrong in
        ["", "m", "64M", "64mb", "+1", "-1", "1.5m", " 1", "18446744073709551616", "18014398509481984g"]
    {
        assert!(read(wrong).is_err(), "{wrong:?} was taken");
    }
    for text in ["0", "1", "1025", "1k", "64m", "1023m", "1g"] {
        assert_eq!(text.parse::<LogMax>().map(|max| max.to_string()), Ok(text.to_owned()));
    }
}

/// A plan from before the bound was started without a bound, and so goes on without.
#[test]
fn a_plan_without_a_bound_has_none() {
    let mut json = serde_json::to_value(plan()).unwrap();
    json.as_object_mut().unwrap().remove("log_max");
    let old: SpawnBgPlan = serde_json::from_value(json.clone()).unwrap();
    assert_eq!((old.log_max, plan().log_max), (LogMax::NONE, LogMax::DEFAULT));
    assert_eq!(serde_json::to_value(old).unwrap(), json);
}

#[test]
fn a_log_is_cut_once_it_is_over_its_bound() {
    let max = LogMax::of_bytes(64 * MIB);
    let of = |start, len| Extent { start, len }.cut(max, 4096);
    assert_eq!((of(0, 64 * MIB), of(0, 0)), (None, None));
    assert_eq!(of(0, 64 * MIB + 1), Some(16 * MIB));
    assert_eq!(of(0, 2048 * MIB), Some(2000 * MIB));
    assert_eq!(
        (of(2000 * MIB, 2048 * MIB), of(2000 * MIB, 2064 * MIB + 4096)),
        (None, Some(2016 * MIB + 4096))
    );
    assert_eq!(Extent { start: 0, len: u64::MAX }.cut(LogMax::NONE, 4096), None, "no bound");
    assert_eq!(Extent { start: 0, len: u64::MAX }.cut(max, 0), None, "an unknown block");
    assert!(Extent { start: 9, len: 3 }.held() == 0, "a file that was truncated meanwhile");
}

#[test]
fn a_cut_keeps_three_quarters_and_bounds_the_rest() {
    let shift = 9_u32..17;
    let cases = (1_u64..(1 << 40), 0_u64..(1 << 42), 0_u64..(1 << 42), shift);
    property!("logs", a_cut_keeps_three_quarters_and_bounds_the_rest).check(
        &cases,
        |(max, one, other, shift)| {
            let (block, bound) = (1 << shift, LogMax::of_bytes(max));
            let extent = Extent { start: one.min(other) / block * block, len: one.max(other) };
            let Some(to) = extent.cut(bound, block) else {
                // What stays is over the bound by less than a block.
                prop_assert!(extent.held() <= max.max(max - max / 4 + block));
                return Ok(());
            };
            prop_assert!(extent.is_over(bound));
            prop_assert!(to % block == 0 && extent.start < to && to < extent.len);
            let kept = Extent { start: to, ..extent };
            prop_assert!(kept.held() >= max - max / 4 && kept.held() <= max - max / 4 + block);
            prop_assert_eq!(kept.cut(bound, block), None);
            Ok(())
        },
    );
}

#[test]
fn times_are_bounds_from_above() {
    let mut index = LogIndex::new(7);
    assert_eq!((index.written_by(1), index.older_than(i64::MAX)), (None, 0), "nothing is known");
    assert!(!index.note(0, 5_000), "nothing was written");
    assert!(index.note(100, 10_000) && index.note(200, 20_000));
    assert!(!index.note(200, 30_000), "nothing was written since");
    assert_eq!(
        [1, 100, 101, 200].map(|end| index.written_by(end)),
        [10_000, 10_000, 20_000, 20_000].map(Some)
    );
    assert_eq!(index.written_by(201), None);
    assert_eq!([10_000, 10_001, 20_000, 20_001].map(|since| index.older_than(since)), [0, 100, 100, 200]);
    // A clock that was set back.
    assert!(index.note(300, 15_000));
    assert_eq!((index.written_by(300), index.stamps().len()), (Some(20_000), 3));
}

#[test]
fn stamps_close_to_each_other_are_joined() {
    let mut index = LogIndex::new(7);
    for (offset, at) in [(1, 0), (2, 400), (3, 900), (4, STAMP_APART_MS), (5, STAMP_APART_MS + 999)] {
        assert!(index.note(offset, at));
    }
    let stamps: Vec<_> = index.stamps().iter().map(|stamp| (stamp.offset, stamp.time_ms)).collect();
    assert_eq!(stamps, [(1, 0), (3, 900), (4, STAMP_APART_MS), (5, STAMP_APART_MS + 999)]);
}

#[test]
fn a_stamp_is_never_too_early() {
    let writes = prop::collection::vec((1_u64..1000, 0_i64..5000, any::<bool>()), 0..300);
    property!("logs", a_stamp_is_never_too_early).check(&writes, |writes| {
        let (mut index, mut offset, mut now, mut truth) = (LogIndex::new(1), 0, 0, vec![]);
        for (len, pause, passes) in writes {
            (offset, now) = (offset + len, now + pause);
            truth.push((offset, now));
            if passes {
                index.note(offset, now);
            }
        }
        prop_assert!(index.stamps().len() <= STAMPS_MAX);
        prop_assert!(index.clone().valid_for(1).is_some() && index.clone().valid_for(2).is_none());
        for (end, at) in truth {
            prop_assert!(index.written_by(end).is_none_or(|by| by >= at));
            // Nothing that was written since is left out.
            prop_assert!(index.older_than(at) < end);
        }
        Ok(())
    });
}

#[test]
fn a_cut_moves_the_beginning_and_forgets_what_is_gone() {
    let mut index = LogIndex::new(1);
    for at in 1..=4 {
        index.note(at * 100, i64::try_from(at).unwrap() * 10_000);
    }
    let head = Head::of(b"tail");
    index.begin_cut(Cutting { to: 150, line: 200, head });
    let begun = index.clone();
    index.finish_cut();
    assert_eq!((index.base, index.line, index.cutting), (150, 200, None));
    assert_eq!(index.stamps().first().map(|stamp| stamp.offset), Some(300));
    // The process died: the beginning of the file tells.
    let settled = |found| {
        let mut index = begun.clone();
        index.settle_cut(|len| {
            assert_eq!(len, 4);
            found
        });
        (index.base, index.line, index.cutting)
    };
    assert_eq!(settled(Some(head)), (150, 200, None));
    assert_eq!(settled(Some(Head::of(b"head"))), (0, 0, None));
    assert_eq!(settled(None), (0, 0, None));
    let mut never = LogIndex::new(1);
    never.settle_cut(|_| panic!("nothing is asked"));
    never.finish_cut();
    assert_eq!(never, LogIndex::new(1));
    // A hole moves no byte.
    never.start_at(50);
    never.start_at(20);
    assert_eq!((never.base, never.line), (0, 50));
}

#[test]
fn an_index_in_disorder_is_no_index() {
    let mut index = LogIndex::new(1);
    index.note(10, 1_000);
    index.note(20, 5_000);
    let json = serde_json::to_value(&index).unwrap();
    let with = |change: fn(&mut serde_json::Value)| {
        let mut json = json.clone();
        change(&mut json);
        serde_json::from_value::<LogIndex>(json).unwrap().valid_for(1).is_some()
    };
    assert!(with(|_| {}));
    assert!(!with(|json| json["version"] = 2.into()));
    assert!(!with(|json| json["stamps"][1]["offset"] = 10.into()));
    assert!(!with(|json| json["stamps"][1]["time_ms"] = 999.into()));
    let many = |json: &mut serde_json::Value| {
        json["stamps"] = (0..=STAMPS_MAX).map(|at| serde_json::json!({"offset": at, "time_ms": 0})).collect();
    };
    assert!(!with(many));
}

#[test]
fn a_stream_has_one_word() {
    for stream in LogStream::ALL {
        assert_eq!(serde_json::to_value(stream).unwrap(), stream.word());
    }
}
