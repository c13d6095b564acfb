//! The driver's part in what is asked for between two turns, and in the waits of registered answers.

use super::client::Client;
use super::heapless;
use super::world::World;
use crate::canned::Wait;
use crate::connection::State;

impl World {
    /// It waits: a registered answer does so as long as it was told to, and in the state that it should.
    pub(super) fn paused(&mut self, slot: u32, client: usize) {
        let state = self.table.state(slot);
        if !matches!(state, State::Processing | State::SendingResponse) {
            return;
        }
        let Client { play, wire, gives_up, is_unsure, .. } = &mut self.clients[client];
        if *is_unsure {
            *gives_up = true;
            return self.watch.pauses(slot, Wait::ForEver);
        }
        let play = play.as_mut().unwrap_or_else(|| panic!("slot {slot} waits in {} for nothing", state.name()));
        let wait = play.waits(&wire.stream, self.now.time.0);
        let expected = if play.has_begun() { State::SendingResponse } else { State::Processing };
        assert_eq!(state, expected, "the state of slot {slot} while its answer is held back");
        *gives_up |= wait == Wait::ForEver;
        self.watch.pauses(slot, wait);
        self.tally.pauses += 1;
    }

    /// Does what is asked between two turns.
    pub(super) fn obey(&mut self) {
        if !self.registry.is_empty() && self.random.chance(self.plan.faults.change) {
            for client in &mut self.clients {
                client.may_be_routed = Some(client.begun);
            }
            let mut answers = self.registry.change(&mut self.random);
            heapless!(self.table.set_canned(&mut answers));
            self.tally.changes += 1;
        }
        if self.random.chance(self.plan.faults.begin_anew) {
            self.begin_anew();
        }
    }

    /// Closes every connection and forgets what was counted.
    fn begin_anew(&mut self) {
        for client in self.clients.iter_mut().filter(|client| client.accepted && !client.wire.server_closed) {
            client.disturbance.dismissed = true;
        }
        let open = (0..self.sockets.len()).filter(|&index| {
            let state = self.table.state(u32::try_from(index).expect("there are few slots"));
            let ended = self.sockets[index].client.is_none_or(|client| self.clients[client].wire.ended);
            !matches!(state, State::Free | State::Closing) && !ended
        });
        let least = open.count();
        assert!(self.table.open_at_both_ends() >= least, "a connection is not seen that is open at both ends");
        heapless!(self.table.dismiss_all());
        self.answer_all();
        assert_eq!(self.table.active(), 0, "what is dismissed closes at once");
        self.close_refusals();
        heapless!(self.table.forget());
        self.forget();
    }
}
