"""Ways to write besides typing: the emoji picker, completion, a new line on a phone, and who else is writing."""

from playwright.sync_api import expect

from tests.browser.test_accessibility import violations_in_all_looks


def test_the_emoji_picker_is_loaded_when_first_used_and_works_with_the_keyboard(visit):
    bob = visit("bob")
    page, loaded = bob.page, []
    page.on("request", lambda request: loaded.append(request.url))
    bob.open("Lobby")
    assert [url for url in loaded if "emoji" in url] == []
    box, picker = bob.box("Lobby"), page.get_by_role("dialog", name="Choose an emoji")
    button = bob.pane("Lobby").get_by_role("button", name="Emoji")
    search, grid = picker.get_by_role("searchbox", name="Search emoji"), picker.get_by_role("grid", name="Emoji")
    box.fill("well done!")
    box.press("Home")
    for _ in range(4):
        box.press("ArrowRight")
    button.click()
    expect(search).to_be_focused()
    expect(button).to_have_attribute("aria-expanded", "true")
    # Escape closes it, leaves the text and the caret as they were, and gives the focus back.
    page.keyboard.type("party popp")
    assert violations_in_all_looks(page) == []
    page.set_viewport_size({"width": 1320, "height": 740})
    page.keyboard.press("Escape")
    expect(picker).to_be_hidden()
    expect(box).to_be_focused()
    expect(box).to_have_value("well done!")
    # Enter chooses the first one found.
    button.click()
    expect(search).to_have_value("")
    page.keyboard.type("tada")
    expect(grid.get_by_role("button")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(box).to_be_focused()
    expect(box).to_have_value("well🎉 done!")
    assert bob.commands("send") == []
    # The emoji chosen last is the first one, and the arrows move in the grid.
    button.click()
    page.keyboard.press("ArrowDown")
    expect(grid.get_by_role("button", name="party popper").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(grid.get_by_role("button", name="grinning face", exact=True)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    expect(grid.get_by_role("button", name="grinning face with big eyes")).to_be_focused()
    page.keyboard.press("Enter")
    expect(box).to_have_value("well🎉😃 done!")
    # What was put in is undone like what was typed, and kept like it.
    page.keyboard.press("Control+z")
    expect(box).to_have_value("well🎉 done!")
    page.reload()
    expect(box).to_have_value("well🎉 done!")
    button.click()
    picker.get_by_role("searchbox").fill("nothing like this")
    expect(picker.get_by_role("status")).to_have_text("No emoji found.")
    page.keyboard.press("Enter")
    expect(picker).to_be_visible()
