"""What a worker does with an item, with a real drive, real storage and a real renderer."""



from tests.fixtures.importing import ImportHub


def test_a_folder_becomes_a_group_in_its_order(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    selection = hub.put_pictures("Harbour", 6)
    with hub.working():
        job_id = hub.ask(selection)
        report = hub.finish_job(job_id)
    assert (report.done_count, report.failed_count) == (6, 0)
    group = hub.get_only_group()
    assert (group.title, group.is_shown, group.image_count) == ("Harbour", True, 6)
    images = hub.list_images()
    assert [image.name for image in images] == [f"{n:04}.jpg" for n in range(6)]
    assert [image.number for image in images] == [1, 2, 3, 4, 5, 6]
    assert group.cover_id == images[0].id
    hub.check_stores_agree()
    assert hub.reconcile().is_clean
