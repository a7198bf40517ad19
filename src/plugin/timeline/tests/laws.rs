//! Laws of the renderers, for any set at any time of its life.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::super::html::Html;
use super::super::model::Timeline;
use super::super::picture::{Picture, Shape};
use super::super::svg::picture;
use super::super::terminal::Terminal;
use super::super::window::Asked;
use super::fixtures::Set;

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn texts_do_not_overlap_and_nothing_leaves_the_canvas(timeline in timeline()) {
        prop_assert_eq!(faults(&timeline), None::<String>);
    }

    #[test]
    fn a_terminal_gets_no_wider_line_than_it_has_columns(timeline in timeline(), columns in 80_usize..160) {
        prop_assert_eq!(too_wide(&timeline, columns), None::<String>);
    }

    #[test]
    fn pages_are_well_formed_and_fetch_nothing(timeline in timeline()) {
        let (svg, html) = (picture(&timeline).to_string(), Html(&timeline).to_string());
        for page in [&svg, &html] {
            prop_assert!(!page.contains("<script") && !page.contains("href=") && !page.contains("src="), "{page}");
            prop_assert!(!page.contains("NaN") && !page.contains("inf\""), "{page}");
        }
        prop_assert_eq!(svg.matches("http").count(), 1, "the namespace of SVG");
    }

    #[test]
    fn every_key_of_the_window_has_its_row(timeline in timeline()) {
        let keys = timeline.shown().count();
        let svg = picture(&timeline);
        prop_assert_eq!(svg.marks.iter().filter(|mark| mark.class == "name").count(), keys + 1, "and the title");
        prop_assert_eq!(Html(&timeline).to_string().matches("<th rowspan").count(), keys);
    }
}

#[test]
fn an_overlap_is_found() {
    let timeline = Set::at_defaults("payments", 3).timeline(SignedDuration::from_hours(721), Asked::default());
    let mut picture = picture(&timeline);
    assert!(overlap(&picture).is_none());
    let text = picture.marks.iter_mut().find_map(|mark| match &mut mark.shape {
        Shape::Text { y, text, .. } if text.starts_with("RS256") => Some(y),
        _ => None,
    });
    *text.unwrap() -= 10.0;
    assert!(overlap(&picture).is_some());
}

/// What is wrong with the picture, or in a terminal of 80 columns.
pub(super) fn faults(timeline: &Timeline) -> Option<String> {
    let picture = picture(timeline);
    let outside = picture.marks.iter().find(|mark| {
        let area = mark.shape.area();
        let (right, bottom) = (area.x + area.width, area.y + area.height);
        area.x < 0.0 || area.y < 0.0 || right > picture.width || bottom > picture.height
    });
    let outside = outside.map(|mark| format!("{} {} is outside", mark.class, text(&mark.shape)));
    let overlap = overlap(&picture).map(|(one, other)| format!("{one} lies on {other}"));
    outside.or(overlap).or_else(|| too_wide(timeline, 80))
}

fn too_wide(timeline: &Timeline, columns: usize) -> Option<String> {
    let drawn = Terminal { timeline, columns }.to_string();
    let drawn = anstream::adapter::strip_str(&drawn).to_string();
    drawn.lines().find(|line| line.chars().count() > columns).map(|line| format!("more than {columns}: {line}"))
}

fn overlap(picture: &Picture) -> Option<(String, String)> {
    let texts: Vec<&Shape> =
        picture.marks.iter().map(|mark| &mark.shape).filter(|shape| matches!(shape, Shape::Text { .. })).collect();
    let pairs = texts.iter().enumerate().flat_map(|(index, one)| texts[..index].iter().map(move |other| (one, other)));
    let mut overlapping = pairs.filter(|(one, other)| one.area().overlaps(&other.area()));
    overlapping.next().map(|(one, other)| (text(one), text(other)))
}

fn text(shape: &Shape) -> String {
    match shape {
        Shape::Text { text, .. } => text.clone(),
        _ => String::new(),
    }
}

prop_compose! {
    /// From a set of seconds to one of months, with names of any length, looked at at any time and in any window.
    fn timeline()(
        name in "[a-z]([-a-z0-9]{0,50}[a-z0-9])?",
        keys in 1_usize..22,
        seconds in any::<bool>(),
        age in 0.0..22.0_f64,
        since in prop::option::of(0.01..30.0_f64),
        until in prop::option::of(0.01..30.0_f64),
    ) -> Timeline {
        let set = if seconds { Set::in_seconds(&name, keys) } else { Set::at_defaults(&name, keys) };
        let interval = set.spec.rotation.interval.length().as_secs_f64();
        let length = |rotations: f64| SignedDuration::from_secs_f64((rotations * interval).round());
        set.timeline(length(age), Asked { since: since.map(length), until: until.map(length) })
    }
}
