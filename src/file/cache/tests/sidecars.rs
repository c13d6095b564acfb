//! A file with other forms of itself beside it.

use super::*;

#[test]
fn the_first_sidecar_that_is_not_older_is_chosen() {
    let mut site = Site::new();
    let coded = |tag, text: &str| Some((tag, text.to_string()));
    site.write("f.js", "plain");
    assert!(site.insert_variant("f.js", CODED, CODINGS));
    assert_eq!(site.get_coded("f.js"), coded(0, "plain"));
    fs::write(site.path("f.js.gz"), "gz").expect("a file");
    assert_eq!(site.get_coded("f.js"), None, "a sidecar came");
    set_modified(&site.path("f.js.gz"), 1000);
    site.cache.refresh();
    assert!(site.insert_variant("f.js", CODED, CODINGS));
    assert_eq!(site.get_coded("f.js"), coded(2, "gz"));
    site.write("f.js.br.new", "br");
    rename(site.path("f.js.br.new"), site.path("f.js.br"));
    assert_eq!(site.get_coded("f.js"), None, "a better one came");
    assert!(site.insert_variant("f.js", CODED, CODINGS));
    assert_eq!(site.get_coded("f.js"), coded(1, "br"));
    write_at_start(&site.path("f.js.br"), "BR");
    assert_eq!(site.get_coded("f.js"), None, "it changed");
    assert!(site.insert_variant("f.js", CODED, CODINGS));
    assert_eq!(site.get_coded("f.js"), coded(1, "BR"));
    set_modified(&site.path("f.js.br"), 999);
    assert_eq!(site.get_coded("f.js"), None, "it is older than the file now");
    assert!(site.insert_variant("f.js", CODED, CODINGS));
    assert_eq!(site.get_coded("f.js"), coded(2, "gz"));
    set_modified(&site.path("f.js.br"), 1000);
    assert_eq!(site.get_coded("f.js"), None, "the older one was touched");
    assert!(site.insert_variant("f.js", CODED, CODINGS));
    assert_eq!(site.get_coded("f.js"), coded(1, "BR"));
    set_modified(&site.path("f.js"), 1001);
    assert_eq!(site.get_coded("f.js"), None, "the file is newer than both");
    assert!(site.insert_variant("f.js", CODED, CODINGS));
    assert_eq!(site.get_coded("f.js"), coded(0, "plain"));
    fs::remove_file(site.path("f.js.gz")).expect("it is ours");
    assert_eq!(site.get_coded("f.js"), None, "a sidecar went");
}

#[test]
fn a_writer_of_the_file_keeps_its_sidecar_from_being_cached() {
    for written in ["f.js", "f.js.br", "f.js.gz"] {
        let mut site = Site::new();
        site.write("f.js", "plain");
        site.write("f.js.br", "br");
        site.write("f.js.gz", "gz");
        set_modified(&site.path("f.js.br"), 999);
        let mapping = Mapping::of(&site.path(written));
        assert!(!site.insert_variant("f.js", CODED, CODINGS), "{written}");
        drop(mapping);
    }
}

#[test]
fn a_sidecar_that_cannot_be_watched_over_keeps_the_name_from_being_cached() {
    let mut site = Site::new();
    for (name, _) in [("link", ""), ("linked", ""), ("directory", "")] {
        site.write(name, "plain");
    }
    site.write("elsewhere", "br");
    symlink("elsewhere", site.path("link.br")).expect("nothing is there");
    fs::hard_link(site.path("elsewhere"), site.path("linked.br")).expect("one file system");
    fs::create_dir(site.path("directory.br")).expect("nothing is there");
    for name in ["link", "linked", "directory"] {
        assert!(!site.insert_variant(name, CODED, CODINGS), "{name}");
        assert!(site.insert(name), "{name} alone is cached");
    }
}

#[test]
fn the_variants_of_a_file_live_together() {
    let mut site = Site::new();
    site.write("f.js", "plain");
    site.write("f.js.br", "br");
    for _ in 0..3 {
        assert!(site.insert("f.js"));
        assert!(site.insert_variant("f.js", CODED, CODINGS));
        assert!(site.insert_variant("f.js", 6, &[(2, ".gz")]));
        assert!(site.insert("f.js.br"), "a sidecar can be asked for by its own name");
        assert_eq!(site.get_coded("f.js"), Some((1, "br".into())));
        assert_eq!(site.get("f.js").as_deref(), Some(&b"plain"[..]));
        assert_eq!(site.look("f.js", 6).map(|hit| (hit.tag, hit.content)), Some((0, b"plain".to_vec())));
        assert_eq!(site.get("f.js.br").as_deref(), Some(&b"br"[..]));
    }
    write_at_start(&site.path("f.js.br"), "BR");
    assert_eq!(site.get_coded("f.js"), None);
    assert_eq!(site.get("f.js.br"), None);
}

#[test]
fn what_others_did_unseen_while_a_variant_was_inserted_drops_the_others() {
    let mut site = Site::new();
    site.write("f.js", "one");
    assert!(site.insert("f.js"));
    site.cache.refresh();
    // The opening of a writer who is gone again looks like the insertion's own.
    Mapping::of(&site.path("f.js")).write(b"two");
    site.insert_variant("f.js", CODED, CODINGS);
    assert_ne!(site.get_next("f.js").as_deref(), Some(&b"one"[..]));
    assert!(site.insert_rested("f.js"));
    site.cache.refresh();
    // One who stays is seen by the lease.
    let mapping = Mapping::of(&site.path("f.js"));
    assert!(!site.insert_variant("f.js", 7, CODINGS));
    mapping.write(b"six");
    assert_eq!(site.get_next("f.js"), None);
}

/// An insertion takes the opening of its files for its own. Where it fails, nobody has made sure of that.
#[test]
fn an_insertion_that_fails_hides_no_writer() {
    for disturbed in [false, true] {
        let mut site = Site::new();
        site.write("f.js", "plain");
        site.write("f.js.br", "br");
        assert!(site.insert("f.js") && site.insert("f.js.br"));
        site.cache.refresh();
        let _main = (!disturbed).then(|| Mapping::of(&site.path("f.js")));
        let sidecar = Mapping::of(&site.path("f.js.br"));
        if disturbed {
            set_modified(&site.path("f.js"), 999);
        }
        assert!(!site.insert_variant("f.js", CODED, CODINGS));
        sidecar.write(b"BR");
        assert_eq!(site.get_next("f.js.br"), None, "disturbed: {disturbed}");
    }
}

#[test]
fn suffixes_are_one_extension_each() {
    let mut site = Site::new();
    site.write("f", "plain");
    let many = [(1, ".a"), (2, ".b"), (3, ".c"), (4, ".d")];
    for suffixes in [&[(0, ".br")][..], &[(1, "br")], &[(1, ".tar.gz")], &[(1, "./g")], &[(1, "")], &many] {
        assert!(!site.insert_variant("f", CODED, suffixes), "{suffixes:?}");
    }
    assert!(site.insert_variant("f", CODED, &many[..3]));
}
