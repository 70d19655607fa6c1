//! The scenarios. One more is one file, and one line here.

mod contestants;
mod cost;
mod deleted;
mod disk;
mod drained;
mod events;
mod hang;
mod in_place;
mod injected;
mod install;
mod killed;
mod listener;
mod mesh;
mod modes;
mod nodes;
mod oom;
mod openshift;
mod password;
mod path;
mod policy;
mod shared;
mod sidecar;
mod times;
mod upgrade;

/// A scenario, which fails by panicking.
pub struct Scenario {
    pub name: &'static str,
    /// Whether nodes have to fail, or disks to break, for which they must be this machine's own.
    pub own_nodes: bool,
    /// Whether it takes so long that it is run by its name alone.
    pub long: bool,
    pub run: fn(),
}

const fn anywhere(name: &'static str, run: fn()) -> Scenario {
    Scenario {
        name,
        own_nodes: false,
        long: false,
        run,
    }
}

const fn own_nodes(name: &'static str, run: fn()) -> Scenario {
    Scenario {
        name,
        own_nodes: true,
        long: false,
        run,
    }
}

/// In the order of the table. The longest are started first.
pub const ALL: &[Scenario] = &[
    anywhere(contestants::NAME, contestants::run),
    anywhere(install::NAME, install::run),
    own_nodes(nodes::FROZEN, nodes::frozen),
    own_nodes(nodes::KILLED, nodes::killed),
    own_nodes(nodes::CUT, nodes::cut),
    own_nodes(drained::NAME, drained::run),
    anywhere(sidecar::RANDOM, sidecar::at_random),
    anywhere(sidecar::LOOP, sidecar::in_a_crash_loop),
    anywhere(shared::ADVISORY, shared::advisory),
    anywhere(shared::STRICT, shared::strict),
    anywhere(deleted::NAME, deleted::run),
    anywhere(deleted::FORCED, deleted::forced),
    anywhere(path::NAME, path::run),
    anywhere(killed::NAME, killed::run),
    anywhere(in_place::NAME, in_place::run),
    anywhere(hang::NAME, hang::run),
    anywhere(listener::NAME, listener::run),
    anywhere(oom::NAME, oom::run),
    anywhere(modes::ATTACH, modes::attach),
    anywhere(modes::CLASSIC, modes::classic),
    anywhere(injected::LAUNCH, injected::launch),
    anywhere(injected::ATTACH, injected::attach),
    anywhere(injected::CLASSIC, injected::classic),
    anywhere(upgrade::NAME, upgrade::run),
    anywhere(password::NAME, password::run),
    own_nodes(disk::FULL, disk::full),
    own_nodes(disk::READ_ONLY, disk::read_only),
    anywhere(openshift::NAME, openshift::run),
    anywhere(policy::NAME, policy::run),
    anywhere(events::NAME, events::run),
    anywhere(mesh::NAME, mesh::run),
    own_nodes(cost::NAME, cost::run),
    Scenario {
        long: true,
        ..own_nodes(times::NAME, times::run)
    },
];
