//! Which registered answer a request gets, by the model, and what the server gave.

use super::canned::{Course, Spec};
use super::client::Client;
use super::model::Request;
use super::plan::Plan;
use super::play::Play;
use super::random::Random;
use super::request::Expected;
use crate::canned::{Canned, CannedAnswers};
use std::rc::Rc;
use std::sync::Arc;

/// All answers that are ever registered in a run, and those that are now.
#[derive(Debug, Default)]
pub(super) struct Registry {
    specs: Vec<Rc<Spec>>,
    answers: Vec<Arc<Canned>>,
    /// Those that are given now, in order.
    current: Vec<usize>,
    /// How often each was given, by the model.
    served: Vec<u64>,
    /// How often one was given whose limit was reached with it.
    pub(super) used_up: u64,
}

impl Registry {
    pub(super) fn new(plan: &Plan) -> Self {
        let (specs, count) = (plan.registered.clone(), plan.registered.len());
        let room = plan.limits.buffer_size.saturating_sub(plan.site.head_bytes());
        let checked = specs.iter().map(|spec| spec.registration().check(room).expect("it is in order"));
        let answers: Vec<_> = checked.map(Arc::new).collect();
        Self { current: (0..count).collect(), served: vec![0; count], answers, specs, used_up: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// Those that are given now.
    pub(super) fn answers(&self) -> Box<CannedAnswers> {
        let answers: Vec<_> = self.current.iter().map(|&id| Arc::clone(&self.answers[id])).collect();
        Box::new(CannedAnswers::new(&answers))
    }

    /// Others are given from now on.
    pub(super) fn change(&mut self, random: &mut Random) -> Box<CannedAnswers> {
        self.current = (0..self.specs.len()).filter(|_| random.chance(600)).collect();
        if random.chance(500) {
            self.current.reverse();
        }
        self.answers()
    }

    fn first_for(&self, request: &Request) -> Option<usize> {
        let is_left = |id: &usize| self.specs[*id].limit.is_none_or(|limit| self.served[*id] < limit);
        let fitting = self.current.iter().copied().filter(is_left).filter(|&id| self.specs[id].is_for(request));
        // Of several that are as good, the first.
        fitting.min_by_key(|&id| self.specs[id].rank())
    }

    /// A connection may have got answers: finds out which, and whether those were right.
    pub(super) fn note(&mut self, client: &mut Client, now: u64) {
        if self.is_empty() {
            return;
        }
        let begun = client.begun;
        while client.next_route <= begun && !client.is_unsure {
            let index = client.next_route;
            let Some(exchange) = client.script.get(index) else { break };
            if matches!(exchange.expected, Expected::Anything) {
                client.is_unsure = true;
                break;
            }
            let wanted = exchange.request.as_ref().and_then(|request| self.first_for(request));
            match wanted.filter(|&id| self.answers[id].served() > self.served[id]) {
                Some(id) => {
                    self.served[id] += 1;
                    self.used_up += u64::from(self.specs[id].limit == Some(self.served[id]));
                    let (spec, is_head) = (Rc::clone(&self.specs[id]), exchange.is_head);
                    client.take(Play::new(spec, index, is_head));
                }
                None if index < begun => {
                    let may_be = client.may_be_routed == Some(index) || client.disturbance.timed_out;
                    assert!(wanted.is_none() || may_be, "the answer {wanted:?} was not given");
                    client.check_play();
                }
                None => break,
            }
            client.next_route += 1;
            if index < begun {
                client.play_begins(index, now);
            }
        }
        if let Some(play) = client.play.as_ref().filter(|play| !play.has_begun() && play.index < begun) {
            let index = play.index;
            client.play_begins(index, now);
        }
        if client.is_unsure {
            client.check_play();
        }
        let actual: Vec<_> = self.answers.iter().map(|canned| canned.served()).collect();
        if client.is_unsure && actual != self.served {
            client.reader.is_blind = true;
            self.served = actual;
        } else {
            assert_eq!(actual, self.served, "an answer was given to nobody");
        }
    }
}

impl Client {
    fn take(&mut self, play: Play) {
        self.check_play();
        self.script[play.index].taken = Some(Rc::clone(&play.spec));
        self.play = Some(play);
    }

    fn play_begins(&mut self, index: usize, now: u64) {
        let length = self.wire.stream.len();
        if let Some(play) = self.play.as_mut().filter(|play| play.index == index) {
            play.begin(length, now);
        }
    }

    /// The registered answer without a head that comes behind those which have one.
    pub(super) fn headless(&self) -> Option<(&Spec, Course)> {
        let exchange = self.script.get(self.reader.responses.len())?;
        let (spec, course) = (exchange.taken.as_deref()?, exchange.course()?);
        (course.is_answered && !course.is_shown).then_some((spec, course))
    }

    /// Whether its connection is closed although there may be more to be read from it: by a reset, or because it gave up.
    pub(super) fn ends_at_once(&self) -> bool {
        let mut takes =
            self.script.iter().filter_map(|exchange| exchange.taken.as_deref().map(|spec| (spec, exchange)));
        let last = takes.next_back();
        last.is_some_and(|(spec, exchange)| spec.resets(exchange.is_head) || spec.course(exchange.is_head).lasts)
    }

    /// Nothing more comes of the registered answer that was under way.
    pub(super) fn check_play(&mut self) {
        if let Some(play) = self.play.take() {
            play.check(&self.wire.stream);
        }
    }
}
