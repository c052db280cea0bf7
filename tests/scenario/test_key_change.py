#!/usr/bin/env python3
"""Another master key, other epochs, while the gateway runs (R31, R34, R54, R60)."""
import json
import os
import shutil
import unittest

from harness import Gateway, main, wait_until
from optouts import everywhere, numbered, numbers, opt_out, pause_all, records

KEY = os.path.join("keys", "master.key")


def pseudonym(g, n):
    """What the file says of the session of event n."""
    return next(e["session_id"] for e in g.file_lines() if numbers([e]) == [n])


def send(g, n, session="jane"):
    assert g.post("/v1/events", numbered(n, session)).status == 200


class KeyChange(unittest.TestCase):
    def test_r34_a_new_master_key_breaks_links_and_keeps_opt_outs(self):
        with Gateway() as g:
            opt_out(g, session_id="out")
            path = os.path.join(g.home, KEY)
            with open(path, "rb") as f:
                old = f.read()
            send(g, 1)
            self.assertTrue(everywhere(g, [1]))
            before = json.loads(g.run("keys", "status", "--json")[1])
            code, out, err = g.run("keys", "rotate", "--json")
            self.assertEqual(code, 0, err)
            said = json.loads(out)
            self.assertEqual(said["old"], before["master"])
            self.assertNotEqual(said["master"], before["master"])
            self.assertEqual(json.loads(g.run("keys", "status", "--json")[1])["master"], said["master"])
            with open(path, "rb") as f:
                self.assertNotEqual(f.read(), old)
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            self.assertEqual(os.listdir(os.path.dirname(path)).count("master.key.next"), 0)
            send(g, 2)
            send(g, 3, "out")
            self.assertTrue(everywhere(g, [1, 2]))
            self.assertNotEqual(pseudonym(g, 1), pseudonym(g, 2))
            g.restart()  # with the new file
            send(g, 4)
            send(g, 5, "out")
            self.assertTrue(everywhere(g, [1, 2, 4]))
            change = [r for r in records(g, "key.rotate") if r["kind"] == "master"]
            self.assertEqual(change, [{"kind": "master", "id": said["master"], "old": said["old"]}])
            self.assertEqual(records(g, "breach.mark"), [])

    def test_r34_what_waits_survives_the_change(self):
        with Gateway() as g:
            pause_all(g)
            send(g, 1)
            self.assertEqual(g.run("keys", "rotate")[0], 0)
            send(g, 2)
            opt_out(g, session_id="later")
            g.kill()
            g.start()
            pause_all(g, False)
            self.assertTrue(everywhere(g, [1, 2]))

    def test_r54_suspected_exposure_is_one_command(self):
        with Gateway() as g:
            send(g, 1)
            self.assertTrue(everywhere(g, [1]))
            old = json.loads(g.run("keys", "status", "--json")[1])["master"]
            self.assertEqual(g.run("keys", "rotate", "--exposed")[0], 0)
            self.assertEqual(records(g, "breach.mark"), [{"kind": "master", "id": old}])
            send(g, 2)
            self.assertTrue(everywhere(g, [1, 2]))
            self.assertNotEqual(pseudonym(g, 1), pseudonym(g, 2))

    def test_epochs_can_end_before_their_time(self):
        with Gateway() as g:
            send(g, 1)
            self.assertTrue(everywhere(g, [1]))
            master = json.loads(g.run("keys", "status", "--json")[1])["master"]
            self.assertEqual(g.run("keys", "destroy")[0], 0)
            send(g, 2)
            self.assertTrue(everywhere(g, [1, 2]))
            self.assertNotEqual(pseudonym(g, 1), pseudonym(g, 2))
            self.assertEqual(json.loads(g.run("keys", "status", "--json")[1])["master"], master)
            self.assertIn({"kind": "epoch", "count": 3}, records(g, "key.destroy"))

    def test_r34_a_crash_at_any_step_leaves_a_state_that_starts(self):
        with Gateway() as g:
            path = os.path.join(g.home, KEY)
            pause_all(g)
            send(g, 1)
            # before the spool keys were wrapped anew: the rotation never was
            g.kill()
            with open(path + ".next", "w") as f:
                f.write("ab" * 16 + "cd" * 16 + "\n")
            os.chmod(path + ".next", 0o600)
            master = open_text(path)
            g.start()
            self.assertFalse(os.path.exists(path + ".next"))
            self.assertEqual(open_text(path), master)
            # after it, before the new key took the old one's place
            shutil.copy(path, path + ".old")
            self.assertEqual(g.run("keys", "rotate")[0], 0)
            g.kill()
            fresh = open_text(path)
            os.rename(path, path + ".next")
            os.rename(path + ".old", path)
            g.start()
            self.assertIn(b"a rotation of the master key is finished", g.log)
            self.assertEqual(open_text(path), fresh)
            pause_all(g, False)
            self.assertTrue(everywhere(g, [1]))

    def test_r31_a_key_that_cannot_be_replaced_stays(self):
        with Gateway() as g:
            folder = os.path.join(g.home, "keys")
            if os.geteuid() == 0:  # whom no mode stops: a folder is in the way
                os.mkdir(os.path.join(folder, "master.key.next"))
            else:
                os.chmod(folder, 0o500)
                self.addCleanup(os.chmod, folder, 0o700)
            master = open_text(os.path.join(g.home, KEY))
            code, out, err = g.run("keys", "rotate")
            self.assertEqual(code, 1)
            self.assertIn("no file that can be replaced", out + err)
            self.assertEqual(open_text(os.path.join(g.home, KEY)), master)
            send(g, 1)  # and goes on
            self.assertTrue(everywhere(g, [1]))


def open_text(path):
    with open(path) as f:
        return f.read()


if __name__ == "__main__":
    main()
