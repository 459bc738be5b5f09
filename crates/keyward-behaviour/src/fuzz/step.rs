//! Steps a world through the core and the model.

use futures_util::FutureExt as _;

use super::written;
use crate::{
    cases::START,
    compare::differences,
    generate::World,
    model::{Model, key::ModelKey, target},
    service::{Away, Place, Service},
    suite,
};

/// Panics at the first request about which the two differ. What the configuration's checks refuse is never asked.
///
/// Gives what came back of each request that reached the guard.
pub(super) fn step(world: &World) -> Vec<crate::wire::Received> {
    let keys: Vec<String> = world.keys.iter().map(ModelKey::to_json_line).collect();
    let policy = world.policy.to_toml();
    let started = at_once(Service::start(Place::InProcess, &policy, &keys.join("\n"), &world.environment, Away::Nothing));
    let Ok(mut service) = started else { return Vec::new() };
    let mut model = Model::new(world.policy.clone(), world.keys.clone(), world.environment.clone());
    let mut now = START;
    let mut answers = Vec::new();
    for (number, step) in world.steps.iter().enumerate() {
        now += step.wait;
        if !written::is_kept(&step.request.target) {
            continue;
        }
        let asked = at_once(service.ask(&step.request, now));
        let (received, events) = asked.unwrap_or_else(|problem| panic!("{world:?}\nrequest {}: {problem}", number + 1));
        // Nothing of the guard's has no header: a parser would have refused the request before.
        if received.headers.is_empty() {
            continue;
        }
        // R1.2: without a path there is nothing that an event could tell of it.
        if target::target(&step.request).is_none() {
            assert_eq!(received.status, 400, "{world:?}\nrequest {}", number + 1);
            continue;
        }
        let answer = suite::decide(&mut model, &step.request, now);
        let found = differences(&world.policy, &step.request, &answer, &received, &events);
        assert!(
            found.is_empty(),
            "the core and the model differ\n{:?}\nrequest {}: {}\n--- received\n{} {:?}\n{}\n--- events\n{events:?}",
            World { steps: world.steps[..=number].to_vec(), ..world.clone() },
            number + 1,
            found.join("\n  and "),
            received.status,
            received.headers,
            String::from_utf8_lossy(&received.body),
        );
        answers.push(received);
    }
    answers
}

/// In memory, everything is ready at once.
pub(super) fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing in memory has to be waited for")
}
