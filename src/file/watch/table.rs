//! Which watch of the kernel's stands for what: one after the other in a list, and found by the kernel's number.
//!
//! All memory is taken by [`Table::new`], and none of it is written before a watch needs it: that would take longer than all else
//! that a server's start does. The list may hold no more than it was made for.

use super::super::names::Names;
use std::ops::{Index, IndexMut};

/// A watch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    /// The kernel's number, from 1 on and not given again before all others.
    pub(super) descriptor: i32,
    /// Valid where it is that of all; otherwise the watch was forgotten and waits to be removed.
    pub(super) generation: u32,
    pub(super) is_directory: bool,
    /// How many entries depend on the file. Directories are not counted: they stay until all is forgotten.
    pub(super) uses: u16,
    /// A directory's own hash goes up to its slash.
    pub(super) names: Names,
}

/// A list of watches with an index.
#[derive(Debug)]
pub(super) struct Table {
    list: Vec<Watched>,
    /// Open addressing by the watch's number: one more than where it is in the list, 0 where a place is empty. More places than
    /// there can be watches, so that every search ends.
    places: Box<[u32]>,
}

impl Table {
    /// For so many watches.
    pub(super) fn new(most: usize) -> Self {
        Self { list: Vec::with_capacity(most), places: vec![0; places(most)].into_boxed_slice() }
    }

    pub(super) fn heap_bytes(most: usize) -> usize {
        most * size_of::<Watched>() + places(most) * size_of::<u32>()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Watched> {
        self.list.get(index)
    }

    /// Where in the list a watch is.
    pub(super) fn find(&self, descriptor: i32) -> Option<usize> {
        self.list_index(self.place_of(descriptor))
    }

    /// Takes in a watch that is not in the table, which has room for it.
    pub(super) fn put(&mut self, watched: Watched) {
        let place = self.place_of(watched.descriptor);
        self.places[place] = place_value(self.list.len());
        self.list.push(watched);
    }

    /// Takes a watch out; the last of the list moves into its stead.
    pub(super) fn take_out(&mut self, index: usize) {
        self.empty(self.place_of(self.list[index].descriptor));
        let last = self.list.len() - 1;
        if index < last {
            let place = self.place_of(self.list[last].descriptor);
            self.places[place] = place_value(index);
        }
        self.list.swap_remove(index);
    }

    /// Empties a place and moves up what was put behind it only because it was taken.
    fn empty(&mut self, mut gap: usize) {
        let mask = self.places.len() - 1;
        let mut next = self.after(gap);
        while let Some(index) = self.list_index(next) {
            let home = self.home(self.list[index].descriptor);
            // It may move where its home is not between the gap and itself.
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(gap) & mask {
                self.places[gap] = self.places[next];
                gap = next;
            }
            next = self.after(next);
        }
        self.places[gap] = 0;
    }

    /// The place that has this watch, or that would have it.
    fn place_of(&self, descriptor: i32) -> usize {
        let mut place = self.home(descriptor);
        while self.list_index(place).is_some_and(|index| self.list[index].descriptor != descriptor) {
            place = self.after(place);
        }
        place
    }

    /// What a place says; none where it is empty.
    fn list_index(&self, place: usize) -> Option<usize> {
        (self.places[place] as usize).checked_sub(1)
    }

    #[allow(clippy::cast_sign_loss)] // The kernel's numbers are positive.
    fn home(&self, descriptor: i32) -> usize {
        descriptor as usize & (self.places.len() - 1)
    }

    fn after(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }
}

impl Index<usize> for Table {
    type Output = Watched;

    fn index(&self, index: usize) -> &Watched {
        &self.list[index]
    }
}

impl IndexMut<usize> for Table {
    fn index_mut(&mut self, index: usize) -> &mut Watched {
        &mut self.list[index]
    }
}

fn places(most: usize) -> usize {
    (most + 1).next_power_of_two()
}

#[allow(clippy::cast_possible_truncation)] // The kernel's numbers of watches have 31 bits, so there are fewer.
fn place_value(index: usize) -> u32 {
    index as u32 + 1
}
