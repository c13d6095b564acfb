//! What there is not enough of: queue, watches, memory.

use super::*;

#[test]
fn a_queue_that_overflows_drops_everything() {
    let queue = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("this is Linux");
    let events: u32 = queue.trim().parse().expect("a number");
    let mut site = Site::new();
    site.write("f", "one");
    site.write("g", "");
    assert!(site.insert("f"));
    for _ in 0..events / 2 + 10 {
        rename(site.path("g"), site.path("h"));
        rename(site.path("h"), site.path("g"));
    }
    write_at_start(&site.path("f"), "two");
    let mut turns = 0;
    while !site.insert_rested("f") {
        assert_eq!(site.get_next("f"), None);
        turns += 1;
        assert!(turns < 100, "it comes to itself again");
    }
    assert_eq!(site.get_next("f").as_deref(), Some(&b"two"[..]));
}

#[test]
fn a_queue_that_is_not_read_to_its_end_is_trusted_in_nothing() {
    let mut site = Site::new();
    site.write("f", "one");
    site.write("g", "");
    assert!(site.insert("f"));
    for _ in 0..700 {
        rename(site.path("g"), site.path("h"));
        rename(site.path("h"), site.path("g"));
    }
    assert_eq!(site.get_next("f"), None);
    assert!(!site.insert_rested("f"), "not in this turn");
    site.cache.refresh();
    assert!(site.insert_rested("f"));
    assert!(site.get_next("f").is_some());
}

#[test]
fn a_user_without_watches_does_without_the_cache() {
    let mut site = Site::new();
    for name in ["a", "b", "c"] {
        site.write(name, name);
    }
    assert!(site.insert("a"));
    site.cache.watch.use_up(true);
    assert!(!site.insert("b"));
    assert_eq!(site.get_next("a"), None, "the watches were given back");
    site.cache.watch.use_up(false);
    assert!(!site.insert("b"), "not at once");
    for _ in 0..WATCHES_REST {
        site.cache.refresh();
    }
    assert!(site.insert("b"));
}

#[test]
fn a_full_table_of_watches_gives_up_the_oldest() {
    let mut site = Site::new();
    let names: Vec<_> = (0..200).map(|number| format!("{}/{number}", number % 7)).collect();
    for name in &names {
        site.write(name, name);
    }
    site.cache.watch.limit_to(60);
    for _ in 0..3 {
        for name in &names {
            site.cache.contents = Restraint::default();
            assert!(site.insert(name), "{name}");
            assert_eq!(site.get(name), Some(name.clone().into_bytes()));
        }
        site.cache.refresh();
        assert!(site.get(&names[199]).is_some() && site.get(&names[190]).is_some());
        assert!(site.get(&names[100]).is_none());
    }
    for directory in 0..100 {
        let name = format!("more/{directory}/f");
        site.write(&name, "f");
        site.cache.contents = Restraint::default();
        assert!(site.insert(&name), "directories do not fill the table for good");
    }
}

#[test]
fn insertions_that_only_push_out_others_become_rare() {
    let mut site = Site::with(16 * 1024);
    let content = vec![1; 1500];
    let names: Vec<_> = (0..40).map(|number| format!("{number}")).collect();
    for name in &names {
        site.write(name, &content);
    }
    let mut inserted = 0;
    for round in 0..100 {
        for name in &names {
            if site.get_next(name).is_none() {
                let is_inserted = site.insert(name);
                inserted += usize::from(is_inserted && round >= 10);
            }
        }
    }
    assert!((1..3600 / 5).contains(&inserted), "{inserted} insertions for 3,600 requests");
    let hot = &names[..5];
    for _ in 0..100 {
        for name in hot {
            let _ = site.get_next(name).is_some() || site.insert(name);
        }
    }
    assert!(hot.iter().all(|name| site.get(name).is_some()), "what is asked for again is cached");
}

#[test]
fn there_is_no_cache_where_there_can_be_none() {
    let site = Site::new();
    assert!(Cache::new(&site.root, 0, MAX_CONTENT, true).is_none());
    assert!(Cache::new(&site.root, CACHE_SIZE, MAX_CONTENT, false).is_none());
    let proc = open_root(Path::new("/proc"));
    assert!(Cache::new(&proc, CACHE_SIZE, MAX_CONTENT, true).is_none());
}

#[test]
fn the_heap_is_used_at_the_start_only_and_as_planned() {
    for cache_size in [1, 16 * 1024, CACHE_SIZE, 16 << 20] {
        let mut site = Site::with(cache_size);
        let before = thread_heap_use();
        let cache = Cache::new(&site.root, cache_size, MAX_CONTENT, true).expect("as before");
        let taken = thread_heap_use().since(before).net_bytes;
        assert_eq!(usize::try_from(taken), Ok(Cache::heap_bytes(cache_size)), "for {cache_size}");
        drop(cache);
        let names: Vec<_> = (0..30).map(|number| CString::new(format!("a/{number}.js")).expect("no NUL")).collect();
        for (name, other) in names.iter().zip(names.iter().rev()) {
            let name = name.to_str().expect("UTF-8");
            site.write(name, vec![7; 1000]);
            site.write(&format!("{name}.br"), vec![8; 500]);
            let before = thread_heap_use();
            site.cache.refresh();
            for (variant, suffixes) in [(0, &[][..]), (CODED, CODINGS)] {
                for name in &names {
                    site.cache.insert(&site.root, name, variant, suffixes);
                    site.cache.get(name.to_bytes(), variant);
                }
            }
            site.cache.insert(&site.root, other, 1, &[]);
            site.cache.refresh();
            assert_eq!(thread_heap_use(), before);
        }
    }
    assert_eq!(Cache::heap_bytes(0), 0);
}
