//! Descriptions of series and streams: appended by the writer, read by snapshots without a lock.

use std::sync::{Arc, OnceLock};

const PAGE: usize = 256;

struct Page<T> {
    cells: Box<[OnceLock<Arc<T>>]>,
}

impl<T> Page<T> {
    fn new() -> Self {
        Self { cells: (0..PAGE).map(|_| OnceLock::new()).collect() }
    }
}

type Pages<T> = Vec<Option<Arc<Page<T>>>>;

/// The writer's side. Ids rise and are never given twice; a page goes when all of it is gone.
pub(crate) struct Catalog<T> {
    pages: Arc<Pages<T>>,
    len: u32,
}

impl<T> Default for Catalog<T> {
    fn default() -> Self {
        Self { pages: Arc::default(), len: 0 }
    }
}

fn cell<T>(pages: &Pages<T>, id: u32) -> Option<&Arc<T>> {
    let page = pages.get(id as usize / PAGE)?.as_ref()?;
    page.cells.get(id as usize % PAGE)?.get()
}

impl<T> Catalog<T> {
    /// Appends one; its id is the length before.
    pub(crate) fn push(&mut self, item: Arc<T>) {
        let at = self.len as usize;
        if at / PAGE >= self.pages.len() {
            Arc::make_mut(&mut self.pages).push(Some(Arc::new(Page::new())));
        }
        if let Some(cell) = self.pages.get(at / PAGE).and_then(Option::as_ref).and_then(|p| p.cells.get(at % PAGE)) {
            // An id is set once: `len` only rises.
            let _ = cell.set(item);
        }
        self.len += 1;
    }

    /// Leaves out the ids up to this one.
    pub(crate) fn skip_to(&mut self, id: u32) {
        self.len = self.len.max(id);
        let pages = (self.len as usize).div_ceil(PAGE);
        if pages > self.pages.len() {
            // What is pushed next may lie in the last of them.
            let open = pages * PAGE > self.len as usize;
            let pages_now = Arc::make_mut(&mut self.pages);
            pages_now.resize_with(pages, || None);
            if open && let Some(last) = pages_now.last_mut() {
                *last = Some(Arc::new(Page::new()));
            }
        }
    }

    /// How many ids were given.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// One by id.
    pub(crate) fn get(&self, id: u32) -> Option<&Arc<T>> {
        cell(&self.pages, id)
    }

    /// Forgets those for which `gone` says so and returns them.
    pub(crate) fn remove(&mut self, mut gone: impl FnMut(u32) -> bool) -> Vec<(u32, Arc<T>)> {
        let mut removed = Vec::new();
        for number in 0..self.pages.len() {
            let Some(page) = self.pages.get(number).and_then(Option::as_ref) else { continue };
            let before = removed.len();
            let kept = Page::new();
            let mut alive = 0;
            for (i, cell) in page.cells.iter().enumerate() {
                let id = (number * PAGE + i) as u32;
                let Some(item) = cell.get() else { continue };
                if gone(id) {
                    removed.push((id, Arc::clone(item)));
                } else if let Some(cell) = kept.cells.get(i) {
                    let _ = cell.set(Arc::clone(item));
                    alive += 1;
                }
            }
            if removed.len() == before {
                continue;
            }
            let full = (number + 1) * PAGE <= self.len as usize;
            let page = if alive == 0 && full { None } else { Some(Arc::new(kept)) };
            if let Some(slot) = Arc::make_mut(&mut self.pages).get_mut(number) {
                *slot = page;
            }
        }
        removed
    }

    /// The first `len` as readers see them.
    pub(crate) fn view(&self, len: u32) -> CatalogView<T> {
        CatalogView { pages: Arc::clone(&self.pages), len }
    }
}

/// A reader's side: what was there when it was taken.
pub(crate) struct CatalogView<T> {
    pages: Arc<Pages<T>>,
    len: u32,
}

impl<T> CatalogView<T> {
    /// One by id.
    pub(crate) fn get(&self, id: u32) -> Option<&Arc<T>> {
        if id < self.len { cell(&self.pages, id) } else { None }
    }

    /// All that are there, in id order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Arc<T>)> {
        (0..self.len).filter_map(|id| self.get(id).map(|item| (id, item)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_view_keeps_what_it_saw() {
        let mut c = Catalog::default();
        for n in 0..1000u32 {
            c.push(Arc::new(n));
        }
        let before = c.view(600);
        let removed = c.remove(|id| id < 300 || id == 999);
        assert_eq!(removed.len(), 301);
        assert_eq!((c.get(0), c.get(299), c.get(300).map(|n| **n), c.get(999)), (None, None, Some(300), None));
        c.push(Arc::new(1000));
        assert_eq!(c.get(1000).map(|n| **n), Some(1000));
        assert_eq!(before.iter().count(), 600);
        assert_eq!(before.get(600), None);
    }
}
