/* words_fr.c - the privacy page in French. */
#include "words.h"

const struct privacy_words privacy_words_fr = {
    .code = "fr",
    .own_name = "Français",
    .text =
        {
            [T_TITLE] = "Votre vie privée chez {0}",
            [T_INTRO] = "Ce qui est enregistré sur votre usage de ce "
                        "service, pourquoi, combien de temps et pour "
                        "qui, et comment dire non. Cette page est "
                        "produite à partir des règles appliquées "
                        "elles-mêmes : elle ne peut pas promettre autre "
                        "chose que ce qui se passe.",
            [T_LANGUAGES] = "Langue",
            [T_CHOICE] = "Votre choix",
            [T_STATE_OUT] = "Ce navigateur est exclu de la mesure.",
            [T_STATE_IN] = "Ce navigateur n’est pas exclu de la mesure.",
            [T_GPC_DENY] = "Votre navigateur envoie le signal Global "
                           "Privacy Control. Il vaut refus pour toutes les "
                           "finalités ci-dessous.",
            [T_GPC_CONSENT] = "Votre navigateur envoie le signal Global "
                              "Privacy Control. Il vaut refus pour toutes les "
                              "finalités ci-dessous qui ne sont pas marquées "
                              "comme exemptées.",
            [T_GPC_IGNORED] = "Votre navigateur envoie le signal Global "
                              "Privacy Control. Les règles de ce site n’en "
                              "tiennent pas compte : utilisez le bouton "
                              "ci-dessous.",
            [T_DNT_DENY] = "Votre navigateur envoie le signal Do Not Track. "
                           "Il vaut refus pour toutes les finalités "
                           "ci-dessous.",
            [T_DNT_CONSENT] = "Votre navigateur envoie le signal Do Not Track. "
                              "Il vaut refus pour toutes les finalités "
                              "ci-dessous qui ne sont pas marquées comme "
                              "exemptées.",
            [T_DNT_IGNORED] = "Votre navigateur envoie le signal Do Not Track. "
                              "Les règles de ce site n’en tiennent pas compte "
                              ": utilisez le bouton ci-dessous.",
            [T_BUTTON_OUT] = "M’exclure de la mesure",
            [T_BUTTON_IN] = "Réadmettre ce navigateur",
            [T_OUT_DONE] = "C’est fait : vous avez dit non. Cela vaut dès "
                           "maintenant, aussi pour ce qui attendait encore "
                           "d’être envoyé.",
            [T_OUT_IDS_NONE] = "Aucun identifiant d’un outil de mesure n’a été "
                               "trouvé dans les cookies de ce navigateur pour "
                               "ce site. Seul un tel identifiant permet "
                               "d’arrêter ce qui attend d’être envoyé ; les "
                               "nouveaux événements de ce navigateur sont "
                               "arrêtés par sa marque.",
            [T_OUT_IDS_ONE] = "Un identifiant d’un outil de mesure a été "
                              "trouvé dans les cookies de ce navigateur ; il "
                              "est exclu lui aussi. Il n’a pas été conservé.",
            [T_OUT_IDS_MANY] =
                "{0} identifiants d’outils de mesure ont été "
                "trouvés dans les cookies de ce navigateur ; ils "
                "sont exclus eux aussi. Ils n’ont pas été "
                "conservés.",
            [T_OUT_IDS_LEFT] =
                "Il y avait plus d’identifiants qu’une seule "
                "demande n’en peut traiter. Supprimez les "
                "cookies de ce site, ou adressez-vous au contact "
                "ci-dessous.",
            [T_BACK_DONE] = "C’est fait : la marque de ce navigateur est "
                            "retirée. Les identifiants et comptes exclus le "
                            "restent jusqu’à l’usage de leur propre reçu.",
            [T_FAILED] = "Votre refus est appliqué, mais il ne peut pas "
                         "être écrit sur disque en ce moment. Veuillez "
                         "l’envoyer encore une fois dans quelques "
                         "minutes.",
            [T_LINK_ASK] = "Ce lien a été fait pour votre compte. Rien ne "
                           "s’est encore passé : le bouton exclut le compte "
                           "de la mesure, sur tous les appareils.",
            [T_LINK_BUTTON] = "Exclure mon compte",
            [T_LINK_DONE] = "C’est fait : votre compte est exclu de la "
                            "mesure, sur tous les appareils. Cela vaut dès "
                            "maintenant, aussi pour ce qui attendait encore "
                            "d’être envoyé.",
            [T_LINK_OVER] = "Ce lien n’est pas valable, ou ne l’est plus. "
                            "Demandez-en un nouveau au service ; le choix "
                            "ci-dessous fonctionne sans lui.",
            [T_RECEIPT] = "Votre reçu",
            [T_RECEIPT_WORDS] =
                "Gardez-le : il montre que vous avez dit non, et "
                "lui seul permet de revenir dessus. Il ne dit "
                "rien de qui vous êtes, et n’est affiché que "
                "cette fois.",
            [T_REACH] = "Jusqu’où cela porte",
            [T_REACH_FLAG] = "Le bouton enregistre un seul cookie, "
                             "lethe_optout=1, pour 13 mois. Il ne contient "
                             "aucun identifiant. Il porte sur ce que ce "
                             "navigateur envoie avec ses cookies, et prend "
                             "fin si vous le supprimez.",
            [T_REACH_NEAR] = "Pages concernées :",
            [T_REACH_VISIT] = "Les règles de ce site ne connaissent aucun "
                              "identifiant qui dure plus qu’une visite : par "
                              "identifiant, seule cette visite est exclue.",
            [T_REACH_OTHER] = "Les autres navigateurs, appareils et "
                              "applications doivent être exclus sur place, ou "
                              "par votre compte.",
            [T_FOREIGN] = "Ce que le bouton n’atteint pas",
            [T_FOREIGN_WHY] = "Ces pages appartiennent à un autre site que "
                              "celle-ci. Votre navigateur n’envoie pas le "
                              "cookie de cette page avec leurs événements ; le "
                              "bouton ne les arrête donc pas :",
            [T_FOREIGN_RETURN] = "Dire non sur la page elle-même :",
            [T_FOREIGN_ASK] = "La page n’offre pas de retour d’ici : activez "
                              "Global Privacy Control, utilisez les réglages "
                              "de la page, ou adressez-vous au contact "
                              "ci-dessous.",
            [T_NEAR_RETURN] = "Certains outils gardent leur identifiant là où "
                              "cette page ne peut pas le voir, et envoient "
                              "sans cookies. La page de l’application les "
                              "atteint aussi :",
            [T_GPC_HOW] = "Valable sur tous les sites : activez Global "
                          "Privacy Control dans votre navigateur (Firefox "
                          ": Paramètres, Vie privée et sécurité, « "
                          "Demander aux sites web de ne pas vendre ni "
                          "partager mes données » ; Brave et DuckDuckGo "
                          "l’envoient déjà ; Chrome, Edge et Safari ont "
                          "besoin d’une extension).",
            [T_ACCOUNT_HOW] = "Si vous avez un compte, le service peut vous "
                              "envoyer un lien qui exclut le compte sur tous "
                              "les appareils.",
            [T_WHAT] = "Ce qui est enregistré",
            [T_WHAT_WORDS] = "Seulement ce qui est énuméré ici ; tout le "
                             "reste est éliminé à l’arrivée.",
            [T_WHAT_NO_ADDRESS] = "Votre adresse IP n’est jamais stockée ni "
                                  "transmise.",
            [T_WHAT_NOTHING] = "Rien n’est transmis en ce moment.",
            [T_EVENTS] = "Événements",
            [T_WITH_EACH] = "Avec chaque événement",
            [T_WHY] = "Pourquoi, et combien de temps",
            [T_KEPT] = "conservé {0}",
            [T_WHO] = "Qui le reçoit",
            [T_WHO_NOBODY] = "Personne en ce moment.",
            [T_FOR] = "pour : {0}",
            [T_COUNTRY] = "pays : {0}",
            [T_TRANSFER] = "fondement du transfert : {0}",
            [T_HOSTED] = "La passerelle qui s’en charge se trouve ici : {0}.",
            [T_LONG] = "Jusqu’où remontent les demandes",
            [T_SPOOL] = "Ce qui attend un destinataire indisponible est "
                        "gardé au plus {0}, scellé, puis détruit.",
            [T_ROTATE] = "Vos identifiants sont remplacés par des "
                         "pseudonymes. Ils changent toutes les périodes "
                         "de {0}, et ce qui a servi à faire les anciens "
                         "est détruit : personne, nous non plus, ne peut "
                         "dire ensuite quels événements étaient les "
                         "vôtres. Les demandes portant sur des événements "
                         "enregistrés remontent donc au plus à {0}.",
            [T_SHARED] = "Plusieurs visiteurs partagent à dessein un même "
                         "pseudonyme. Les événements enregistrés ne "
                         "peuvent donc pas être reconnus comme les vôtres "
                         "seuls (article 11 du RGPD) ; dire non "
                         "fonctionne tout de même.",
            [T_SINGLE] = "Pendant ce temps, des événements peuvent être "
                         "retrouvés par l’identifiant que détient votre "
                         "navigateur ou application : joignez-le à votre "
                         "demande.",
            [T_RIGHTS] = "Vos droits, et à qui vous adresser",
            [T_RIGHTS_WORDS] =
                "Vous pouvez demander l’accès, la rectification, "
                "l’effacement, la limitation et une copie de ce "
                "qui vous concerne, et vous opposer à tout "
                "moment, sans motif pour la mesure d’audience "
                "(articles 15 à 21 du RGPD). Vous recevez une "
                "réponse sous un mois.",
            [T_CONTACT] = "Responsable : {0}",
            [T_DPO] = "Délégué à la protection des données : {0}",
            [T_AUTHORITY] = "Réclamations : {0}",
            [T_AUTHORITY_ANY] = "Vous pouvez adresser une réclamation à "
                                "l’autorité de protection des données de votre "
                                "lieu de résidence ou de travail.",
            [T_COOKIE] = "Cette page n’enregistre rien sur votre appareil "
                         "avant que vous n’appuyiez sur un bouton, ne "
                         "charge rien d’ailleurs et n’exécute aucun script.",
            [T_MADE] = "Règles : {0}, version {1}.",
        },
    .basis =
        {
            [BASIS_CONSENT] = "votre consentement (art. 6(1)(a) RGPD)",
            [BASIS_LEGITIMATE_INTEREST] =
                "notre intérêt légitime (art. 6(1)(f) RGPD)",
            [BASIS_CONTRACT] = "un contrat avec vous (art. 6(1)(b) RGPD)",
            [BASIS_LEGAL_OBLIGATION] =
                "une obligation légale (art. 6(1)(c) RGPD)",
            [BASIS_PUBLIC_TASK] =
                "une mission d’intérêt public (art. 6(1)(e) RGPD)",
            [BASIS_VITAL_INTERESTS] = "des intérêts vitaux (art. 6(1)(d) RGPD)",
        },
    .exempt = "exempté de consentement",
    .role =
        {
            [PRIVACY_CONTROLLER] = "responsable du traitement, seul",
            [PRIVACY_PROCESSOR] = "sous-traitant, lié par nos instructions",
            [PRIVACY_JOINT] = "responsable conjoint avec nous",
        },
    .context =
        {
            [CTX_IP] = "une partie de l’adresse",
            [CTX_PLACE] = "lieu, d’après l’adresse",
            [CTX_USER_AGENT] = "famille et version du navigateur",
            [CTX_LANGUAGE] = "langue",
            [CTX_SCREEN] = "taille d’écran",
            [CTX_URL] = "page, d’après une liste fixe",
            [CTX_REFERRER] = "page de provenance",
            [CTX_CAMPAIGN] = "campagne",
            [CTX_TITLE] = "titre de la page",
            [CTX_TIME] = "heure, arrondie",
        },
    .id =
        {
            [ID_USER] = "compte, sous pseudonyme",
            [ID_DEVICE] = "navigateur ou appareil, sous pseudonyme",
            [ID_SESSION] = "visite, sous pseudonyme",
            [ID_GROUP] = "groupe, sous pseudonyme",
        },
    .unit =
        {
            {"mois", "mois"},
            {"jour", "jours"},
            {"heure", "heures"},
            {"minute", "minutes"},
            {"seconde", "secondes"},
        },
};
