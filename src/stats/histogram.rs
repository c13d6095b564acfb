//! The latency histogram: fixed buckets, four to each doubling, from one microsecond to about two minutes.

/// How many buckets there are; the last also takes everything above it.
pub const BUCKETS: usize = 104;

/// The bucket of a latency in nanoseconds.
#[must_use]
pub fn bucket_of(nanoseconds: u64) -> usize {
    let microseconds = nanoseconds / 1000;
    if microseconds < 4 {
        return usize::try_from(microseconds).unwrap_or(0);
    }
    let octave = microseconds.ilog2();
    let quarter = (microseconds >> (octave - 2)) & 3;
    (4 + (octave as usize - 2) * 4 + usize::try_from(quarter).unwrap_or(0)).min(BUCKETS - 1)
}

/// The bounds of a bucket in microseconds: from the first up to but without the second.
#[must_use]
pub fn bucket_bounds(bucket: usize) -> (u64, u64) {
    let bucket = bucket as u64;
    if bucket < 4 {
        return (bucket, bucket + 1);
    }
    let (octave, quarter) = ((bucket - 4) / 4, (bucket - 4) % 4);
    ((4 + quarter) << octave, (5 + quarter) << octave)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_latency_is_within_the_bounds_of_its_bucket() {
        let mut last = 0;
        for microseconds in (0..100_000).chain((0..26).map(|shift| (1_u64 << shift) + 1)) {
            let bucket = bucket_of(microseconds * 1000 + 999);
            let (low, high) = bucket_bounds(bucket);
            assert!(low <= microseconds && microseconds < high, "{microseconds} in {bucket}: {low}..{high}");
            last = last.max(bucket);
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert!(last < BUCKETS);
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for bucket in 1..BUCKETS {
            assert_eq!(bucket_bounds(bucket - 1).1, bucket_bounds(bucket).0);
        }
    }
}
