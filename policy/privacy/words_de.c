/* words_de.c - the privacy page in German. */
#include "words.h"

const struct privacy_words privacy_words_de = {
    .code = "de",
    .own_name = "Deutsch",
    .text =
        {
            [T_TITLE] = "Ihre Privatsphäre bei {0}",
            [T_INTRO] = "Was über Ihre Nutzung dieses Dienstes "
                        "aufgezeichnet wird, warum, wie lange und für "
                        "wen, und wie Sie Nein sagen. Diese Seite "
                        "entsteht aus eben den Regeln, die gelten; sie "
                        "kann nichts anderes versprechen als das, was "
                        "geschieht.",
            [T_LANGUAGES] = "Sprache",
            [T_CHOICE] = "Ihre Wahl",
            [T_STATE_OUT] = "Dieser Browser ist abgemeldet.",
            [T_STATE_IN] = "Dieser Browser ist nicht abgemeldet.",
            [T_GPC_DENY] = "Ihr Browser sendet Global Privacy Control. Das "
                           "gilt als Nein zu jedem der Zwecke unten.",
            [T_GPC_CONSENT] = "Ihr Browser sendet Global Privacy Control. Das "
                              "gilt als Nein zu jedem der Zwecke unten, der "
                              "nicht als ausgenommen bezeichnet ist.",
            [T_GPC_IGNORED] = "Ihr Browser sendet Global Privacy Control. Die "
                              "Regeln dieser Website beachten es nicht: Nutzen "
                              "Sie die Schaltfläche unten.",
            [T_DNT_DENY] = "Ihr Browser sendet Do Not Track. Das gilt als "
                           "Nein zu jedem der Zwecke unten.",
            [T_DNT_CONSENT] = "Ihr Browser sendet Do Not Track. Das gilt als "
                              "Nein zu jedem der Zwecke unten, der nicht als "
                              "ausgenommen bezeichnet ist.",
            [T_DNT_IGNORED] = "Ihr Browser sendet Do Not Track. Die Regeln "
                              "dieser Website beachten es nicht: Nutzen Sie "
                              "die Schaltfläche unten.",
            [T_BUTTON_OUT] = "Von der Messung abmelden",
            [T_BUTTON_IN] = "Diesen Browser wieder anmelden",
            [T_OUT_DONE] = "Erledigt: Sie haben Nein gesagt. Das gilt ab "
                           "jetzt, auch für das, was noch auf den Versand "
                           "wartete.",
            [T_OUT_IDS_NONE] =
                "In den Cookies dieses Browsers für diese "
                "Website wurde keine Kennung eines "
                "Analysewerkzeugs gefunden. Was noch auf den "
                "Versand wartet, lässt sich nur über eine solche "
                "Kennung anhalten; neue Ereignisse dieses "
                "Browsers hält seine Markierung an.",
            [T_OUT_IDS_ONE] = "In den Cookies dieses Browsers wurde eine "
                              "Kennung eines Analysewerkzeugs gefunden; auch "
                              "sie ist abgemeldet. Sie wurde nicht aufbewahrt.",
            [T_OUT_IDS_MANY] = "In den Cookies dieses Browsers wurden {0} "
                               "Kennungen von Analysewerkzeugen gefunden; auch "
                               "sie sind abgemeldet. Sie wurden nicht "
                               "aufbewahrt.",
            [T_OUT_IDS_LEFT] = "Es gab mehr Kennungen, als eine Anfrage fassen "
                               "kann. Löschen Sie die Cookies dieser Website, "
                               "oder wenden Sie sich an den Kontakt unten.",
            [T_BACK_DONE] = "Erledigt: Die Markierung dieses Browsers ist "
                            "entfernt. Abgemeldete Kennungen und Konten "
                            "bleiben es, bis ihr eigener Beleg eingelöst wird.",
            [T_FAILED] = "Ihr Nein gilt, kann aber im Augenblick nicht "
                         "auf die Platte geschrieben werden. Bitte senden "
                         "Sie es in einigen Minuten noch einmal.",
            [T_LINK_ASK] = "Dieser Link wurde für Ihr Konto erstellt. Noch "
                           "ist nichts geschehen: Die Schaltfläche meldet "
                           "das Konto ab, auf allen Geräten.",
            [T_LINK_BUTTON] = "Mein Konto abmelden",
            [T_LINK_DONE] = "Erledigt: Ihr Konto ist abgemeldet, auf allen "
                            "Geräten. Das gilt ab jetzt, auch für das, was "
                            "noch auf den Versand wartete.",
            [T_LINK_OVER] = "Dieser Link ist nicht oder nicht mehr gültig. "
                            "Bitten Sie den Dienst um einen neuen; die Wahl "
                            "unten geht auch ohne ihn.",
            [T_RECEIPT] = "Ihr Beleg",
            [T_RECEIPT_WORDS] = "Bewahren Sie ihn auf: Er zeigt, dass Sie Nein "
                                "gesagt haben, und nur mit ihm lässt es sich "
                                "zurücknehmen. Er sagt nichts darüber, wer Sie "
                                "sind, und wird nur dieses eine Mal gezeigt.",
            [T_REACH] = "Wie weit es reicht",
            [T_REACH_FLAG] = "Die Schaltfläche speichert ein einziges Cookie, "
                             "lethe_optout=1, für 13 Monate. Es enthält keine "
                             "Kennung. Es reicht für alles, was dieser "
                             "Browser mit seinen Cookies sendet, und endet, "
                             "wenn Sie es löschen.",
            [T_REACH_NEAR] = "Seiten, für die es gilt:",
            [T_REACH_VISIT] = "Die Regeln dieser Website kennen keine Kennung, "
                              "die länger hält als ein Besuch: Über Kennungen "
                              "ist nur dieser Besuch abgemeldet.",
            [T_REACH_OTHER] = "Andere Browser, Geräte und Apps müssen dort "
                              "abgemeldet werden, oder über Ihr Konto.",
            [T_FOREIGN] = "Was die Schaltfläche nicht erreicht",
            [T_FOREIGN_WHY] = "Diese Seiten gehören zu einer anderen Website "
                              "als dieser. Ihr Browser sendet das Cookie "
                              "dieser Seite nicht mit deren Ereignissen; die "
                              "Schaltfläche hält sie also nicht an:",
            [T_FOREIGN_RETURN] = "Auf der Seite selbst Nein sagen:",
            [T_FOREIGN_ASK] = "Die Seite bietet von hier keinen Rückweg: "
                              "Schalten Sie Global Privacy Control ein, nutzen "
                              "Sie die Einstellungen der Seite, oder wenden "
                              "Sie sich an den Kontakt unten.",
            [T_NEAR_RETURN] = "Manche Werkzeuge bewahren ihre Kennung dort "
                              "auf, wo diese Seite sie nicht sieht, und senden "
                              "ohne Cookies. Die Seite der App erreicht auch "
                              "sie:",
            [T_GPC_HOW] = "Gilt auf jeder Website: Schalten Sie Global "
                          "Privacy Control in Ihrem Browser ein (Firefox: "
                          "Einstellungen, Datenschutz & Sicherheit, "
                          "„Websites anweisen, meine Daten nicht zu "
                          "verkaufen oder weiterzugeben“; Brave und "
                          "DuckDuckGo senden es schon; Chrome, Edge und "
                          "Safari brauchen eine Erweiterung).",
            [T_ACCOUNT_HOW] = "Wenn Sie ein Konto haben, kann der Dienst Ihnen "
                              "einen Link senden, der das Konto auf allen "
                              "Geräten abmeldet.",
            [T_WHAT] = "Was aufgezeichnet wird",
            [T_WHAT_WORDS] = "Nur was hier aufgeführt ist; alles andere wird "
                             "beim Eintreffen verworfen.",
            [T_WHAT_NO_ADDRESS] = "Ihre IP-Adresse wird nie gespeichert oder "
                                  "weitergegeben.",
            [T_WHAT_NOTHING] = "Zurzeit wird nichts weitergegeben.",
            [T_EVENTS] = "Ereignisse",
            [T_WITH_EACH] = "Mit jedem Ereignis",
            [T_WHY] = "Warum, und wie lange es aufbewahrt wird",
            [T_KEPT] = "aufbewahrt: {0}",
            [T_WHO] = "Wer es erhält",
            [T_WHO_NOBODY] = "Zurzeit niemand.",
            [T_FOR] = "für: {0}",
            [T_COUNTRY] = "Land: {0}",
            [T_TRANSFER] = "Grundlage der Übermittlung: {0}",
            [T_HOSTED] = "Das Gateway, das dies tut, steht hier: {0}.",
            [T_LONG] = "Wie weit Anfragen zurückreichen",
            [T_SPOOL] = "Was auf einen nicht erreichbaren Empfänger "
                        "wartet, wird höchstens so lange versiegelt "
                        "aufbewahrt und dann vernichtet: {0}.",
            [T_ROTATE] = "Ihre Kennungen werden durch Pseudonyme ersetzt. "
                         "Sie wechseln in diesem Abstand: {0}. Womit die "
                         "alten gebildet wurden, wird vernichtet: "
                         "Niemand, auch wir nicht, kann danach sagen, "
                         "welche Ereignisse Ihre waren. Anfragen zu "
                         "aufgezeichneten Ereignissen reichen deshalb "
                         "höchstens so weit zurück: {0}.",
            [T_SHARED] = "Mehrere Besucher teilen sich absichtlich ein "
                         "Pseudonym. Aufgezeichnete Ereignisse lassen "
                         "sich deshalb nicht als allein Ihre erkennen "
                         "(Artikel 11 DSGVO); Nein sagen können Sie "
                         "trotzdem.",
            [T_SINGLE] = "In dieser Zeit lassen sich Ereignisse über die "
                         "Kennung finden, die Ihr Browser oder Ihre App "
                         "hält: Geben Sie sie mit Ihrer Anfrage an.",
            [T_RIGHTS] = "Ihre Rechte, und an wen Sie sich wenden",
            [T_RIGHTS_WORDS] =
                "Sie können Auskunft, Berichtigung, Löschung, "
                "Einschränkung und eine Kopie dessen verlangen, "
                "was Sie betrifft, und jederzeit widersprechen, "
                "bei der Reichweitenmessung ohne Angabe von "
                "Gründen (Artikel 15 bis 21 DSGVO). Sie erhalten "
                "binnen eines Monats Antwort.",
            [T_CONTACT] = "Verantwortlich: {0}",
            [T_DPO] = "Datenschutzbeauftragte: {0}",
            [T_AUTHORITY] = "Beschwerden: {0}",
            [T_AUTHORITY_ANY] = "Sie können sich bei der Datenschutzbehörde "
                                "Ihres Wohn- oder Arbeitsorts beschweren.",
            [T_COOKIE] = "Diese Seite speichert nichts auf Ihrem Gerät, "
                         "bevor Sie eine Schaltfläche betätigen, lädt "
                         "nichts von anderswo und führt kein Skript aus.",
            [T_MADE] = "Regeln: {0}, Version {1}.",
        },
    .basis =
        {
            [BASIS_CONSENT] = "Ihre Einwilligung (Art. 6 Abs. 1 lit. a DSGVO)",
            [BASIS_LEGITIMATE_INTEREST] =
                "unser berechtigtes Interesse (Art. 6 Abs. 1 lit. f DSGVO)",
            [BASIS_CONTRACT] =
                "ein Vertrag mit Ihnen (Art. 6 Abs. 1 lit. b DSGVO)",
            [BASIS_LEGAL_OBLIGATION] =
                "eine rechtliche Verpflichtung (Art. 6 Abs. 1 lit. c DSGVO)",
            [BASIS_PUBLIC_TASK] =
                "eine öffentliche Aufgabe (Art. 6 Abs. 1 lit. e DSGVO)",
            [BASIS_VITAL_INTERESTS] =
                "lebenswichtige Interessen (Art. 6 Abs. 1 lit. d DSGVO)",
        },
    .exempt = "von der Einwilligung ausgenommen",
    .role =
        {
            [PRIVACY_CONTROLLER] = "allein verantwortlich",
            [PRIVACY_PROCESSOR] =
                "Auftragsverarbeiter, an unsere Weisungen gebunden",
            [PRIVACY_JOINT] = "gemeinsam mit uns verantwortlich",
        },
    .context =
        {
            [CTX_IP] = "ein Teil der Adresse",
            [CTX_PLACE] = "Ort, aus der Adresse",
            [CTX_USER_AGENT] = "Browserfamilie und -version",
            [CTX_LANGUAGE] = "Sprache",
            [CTX_SCREEN] = "Bildschirmgröße",
            [CTX_URL] = "Seite, aus einer festen Liste",
            [CTX_REFERRER] = "Seite, von der Sie kamen",
            [CTX_CAMPAIGN] = "Kampagne",
            [CTX_TITLE] = "Seitentitel",
            [CTX_TIME] = "Zeit, gerundet",
        },
    .id =
        {
            [ID_USER] = "Konto, als Pseudonym",
            [ID_DEVICE] = "Browser oder Gerät, als Pseudonym",
            [ID_SESSION] = "Besuch, als Pseudonym",
            [ID_GROUP] = "Gruppe, als Pseudonym",
        },
    .unit =
        {
            {"Monat", "Monate"},
            {"Tag", "Tage"},
            {"Stunde", "Stunden"},
            {"Minute", "Minuten"},
            {"Sekunde", "Sekunden"},
        },
};
