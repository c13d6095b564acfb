//! The memory of one request: a bumpalo `Bump` whose capacity is taken at start and never grows.
//!
//! What is made in a pool is named by a [`PoolSlice`], which the pool checks against its own stamp before it gives the memory
//! out. A slice made before a reset, or by another pool, is therefore caught and never read.

#![allow(unsafe_code)]

use bumpalo::Bump;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// The pool has not enough left for what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolExhausted;

/// The name of a slice inside a pool, good until that pool is reset.
#[derive(Debug)]
pub struct PoolSlice<T> {
    /// INVARIANT: points at `length` initialized values of `T` in the pool whose stamp was `stamp` when it was made.
    pointer: NonNull<T>,
    length: usize,
    stamp: u64,
    owner: PhantomData<T>,
}

impl<T> Clone for PoolSlice<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for PoolSlice<T> {}

// SAFETY: the name alone gives nothing out; its pool does, on whatever thread that is, under the pool's own borrow.
unsafe impl<T: Send> Send for PoolSlice<T> {}

/// The memory of one request.
#[derive(Debug)]
pub struct Pool {
    bump: Bump,
    /// What `bump` can give when it is empty, in bytes; at least `size`.
    capacity: usize,
    /// What the operator allowed, in bytes.
    size: usize,
    /// INVARIANT: differs from the stamp of every other pool, and from every stamp this pool had before its last reset.
    stamp: u64,
}

/// Pools are numbered from 1, so that no two ever share a stamp.
static NEXT_POOL: AtomicU64 = AtomicU64::new(1);
/// A stamp is the pool's number above these bits and its count of resets in them: 2^40 resets at a million a second last 12 days
/// of nothing else, and 2^24 pools more than a process makes; both wrap into a caught panic at worst, never into a bad read,
/// because a slice lives for one request.
const RESET_BITS: u32 = 40;

impl Pool {
    /// A pool of `size` bytes. All its memory is taken here.
    #[must_use]
    pub fn new(size: usize) -> Self {
        let bump = Bump::with_capacity(size);
        bump.set_allocation_limit(Some(bump.allocated_bytes()));
        let capacity = bump.chunk_capacity();
        Self { bump, capacity, size, stamp: NEXT_POOL.fetch_add(1, Ordering::Relaxed) << RESET_BITS }
    }

    /// The bytes in use, alignment included.
    #[must_use]
    pub fn used(&self) -> usize {
        self.capacity - self.bump.chunk_capacity()
    }

    /// What the operator allowed, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The heap memory behind a pool of `size` bytes; where there is not even that, only what was asked for.
    #[must_use]
    pub fn heap_bytes(size: usize) -> usize {
        Bump::try_with_capacity(size).map_or(size, |bump| bump.allocated_bytes_including_metadata())
    }

    /// Makes a slice of `length` default values.
    ///
    /// # Errors
    /// The pool has not enough left.
    pub fn make<T: Copy + Default>(&mut self, length: usize) -> Result<PoolSlice<T>, PoolExhausted> {
        let bytes = length.checked_mul(size_of::<T>()).ok_or(PoolExhausted)?;
        // Alignment may take up to this much besides.
        let most =
            bytes.checked_add(self.used()).and_then(|sum| sum.checked_add(align_of::<T>() - 1)).ok_or(PoolExhausted)?;
        if most > self.size {
            return Err(PoolExhausted);
        }
        let slice = self.bump.try_alloc_slice_fill_default::<T>(length).map_err(|_| PoolExhausted)?;
        Ok(PoolSlice { pointer: NonNull::from(slice).cast(), length, stamp: self.stamp, owner: PhantomData })
    }

    /// The values of a slice that this pool made since its last reset.
    #[must_use]
    pub fn get<T: Copy>(&self, slice: PoolSlice<T>) -> &[T] {
        self.check(slice.stamp);
        // SAFETY: the stamps are equal, so by their invariants the pointer is to live values of this pool; they are borrowed as
        // long as `self` is, and `get_mut` and `reset` need `&mut self`.
        unsafe { std::slice::from_raw_parts(slice.pointer.as_ptr(), slice.length) }
    }

    /// The values of a slice that this pool made since its last reset, to be written.
    #[must_use]
    pub fn get_mut<T: Copy>(&mut self, slice: PoolSlice<T>) -> &mut [T] {
        self.check(slice.stamp);
        // SAFETY: as in `get`; `&mut self` excludes every other borrow of the pool's memory.
        unsafe { std::slice::from_raw_parts_mut(slice.pointer.as_ptr(), slice.length) }
    }

    fn check(&self, stamp: u64) {
        assert!(stamp == self.stamp, "a pool slice outlived its pool's reset");
    }

    /// Empties the pool in O(1) and returns how many bytes that freed.
    pub fn reset(&mut self) -> usize {
        let freed = self.used();
        self.bump.reset();
        self.stamp = self.stamp.wrapping_add(1);
        freed
    }
}

#[cfg(test)]
impl Pool {
    /// Makes the pool claim more use than it may have.
    pub(super) fn corrupt_size(&mut self) {
        self.capacity += 2 * self.size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alloc::thread_heap_use;

    #[test]
    fn a_full_pool_refuses_and_never_grows() {
        for size in [256, 1000, 4096, 65_536] {
            let mut pool = Pool::new(size);
            let before = thread_heap_use();
            assert_eq!(pool.used(), 0);
            assert!(pool.make::<u8>(size).is_ok(), "all of {size} bytes can be had");
            assert_eq!(pool.used(), size);
            assert_eq!(pool.make::<u8>(1).err(), Some(PoolExhausted));
            assert_eq!(pool.make::<u64>(usize::MAX).err(), Some(PoolExhausted));
            assert_eq!(pool.reset(), size);
            while pool.make::<u64>(3).is_ok() {}
            assert!(pool.used() <= size);
            assert!(pool.reset() > pool.size() - 2 * 24, "little is wasted");
            assert_eq!(thread_heap_use(), before, "no heap call after the pool was made");
        }
    }

    #[test]
    fn slices_hold_what_was_written() {
        let mut pool = Pool::new(1024);
        let bytes = pool.make::<u8>(3).expect("it fits");
        let words = pool.make::<u32>(4).expect("it fits");
        pool.get_mut(bytes).copy_from_slice(b"abc");
        pool.get_mut(words).fill(7);
        assert_eq!(pool.get(bytes), b"abc");
        assert_eq!(pool.get(words), [7; 4]);
    }

    #[test]
    #[should_panic(expected = "outlived")]
    fn a_slice_of_before_the_reset_is_caught() {
        let mut pool = Pool::new(1024);
        let slice = pool.make::<u8>(3).expect("it fits");
        pool.reset();
        let _ = pool.get(slice);
    }

    #[test]
    #[should_panic(expected = "outlived")]
    fn a_slice_of_another_pool_is_caught() {
        let slice = Pool::new(1024).make::<u8>(3).expect("it fits");
        let _ = Pool::new(1024).get(slice);
    }
}
