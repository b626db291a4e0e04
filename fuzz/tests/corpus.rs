//! Replays every committed corpus: what fuzzing once found interesting stays sound, on stable and without libFuzzer.

use std::{fs, path::Path};

#[test]
fn every_committed_input_passes() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, run) in floe_fuzz::TARGETS {
        let mut inputs = 0;
        for entry in fs::read_dir(corpora.join(name)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            run(&fs::read(&path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no corpus");
    }
}

#[test]
fn every_corpus_belongs_to_a_target() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in fs::read_dir(corpora).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(
            floe_fuzz::TARGETS
                .iter()
                .any(|(target, _)| name == **target),
            "{name:?}"
        );
    }
}
