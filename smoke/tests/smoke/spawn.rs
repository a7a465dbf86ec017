//! One child from birth to end, and the environment at birth.

pub(crate) mod child;
pub(crate) mod companions;
pub(crate) mod failures;
pub(crate) mod large_parent;
pub(crate) mod lifeline;
pub(crate) mod other_programs;
pub(crate) mod world;

rekindle_smoke::rooms![child, companions, failures, lifeline, world, large_parent, other_programs];
