"""The mini corpus' sentences in German, Spanish, French and Italian.

Small grammars: templates with slots, whose entries bring their articles and
prepositions along, so that any of them fits. No number stands in them, as
Whisper writes some in figures, and few names.
"""

import re
import zlib

from speechbrain_ext.corpora.mini_words import entries

_GERMAN = {
    "wer": """
        die Lehrerin, der Arzt, mein Bruder, meine Schwester, unsere Nachbarin,
        der Bäcker, die Musikerin, mein Großvater, die alte Dame, der junge
        Mann, ihre Freundin, der Verkäufer, die Ärztin, der Gärtner, die
        Polizei, der alte Bauer, der Kapitän, unser Chef""",
    "was": """
        einen langen Brief, das alte Fahrrad, eine neue Lampe, den grünen
        Koffer, ein schönes Bild, die Zeitung, den Schlüssel, eine warme Jacke,
        das kaputte Radio, einen Blumenstrauß, die Geige, ein interessantes
        Buch, den roten Regenschirm, eine große Kiste, das Geschenk, die
        Fotografie, einen hölzernen Stuhl, die Landkarte""",
    "getan": """
        gekauft, verloren, gefunden, repariert, verkauft, vergessen, gesucht,
        mitgebracht, gezeichnet, bezahlt, gesehen, abgeholt""",
    "wo": """
        im Garten, in der Küche, am Bahnhof, vor dem Rathaus, hinter der
        Kirche, auf dem Markt, in der Schule, neben dem Brunnen, am Strand, im
        Museum, auf der Brücke, in einem kleinen Dorf, unter dem Dach, beim
        Friseur""",
    "wann": """
        gestern, heute Morgen, am Montag, am Wochenende, letzte Woche, im
        Sommer, am Abend, in der Nacht, vor dem Frühstück, nach der Arbeit, an
        Weihnachten, im Oktober""",
    "stadt": """
        Berlin, Hamburg, München, Köln, Leipzig, Wien, Zürich, Frankfurt,
        Stuttgart, Dresden, Bremen, Hannover""",
    "wetter": """
        kalt und windig, sonnig, sehr heiß, neblig, bewölkt, regnerisch, warm
        und trocken, stürmisch""",
    "speise": """
        Kartoffelsuppe, frischen Fisch, Brot mit Käse, einen Salat, Nudeln mit
        Tomaten, Apfelkuchen, Reis mit Gemüse, ein weiches Ei""",
    "trank": """
        Kaffee, Tee, Wasser, Milch, Orangensaft, Bier, Rotwein""",
    "beruf": """
        Lehrer, Ingenieur, Koch, Gärtner, Musiker, Tischler, Journalist,
        Apotheker""",
    "mensch": """
        Anna, Peter, Maria, Thomas, Julia, Michael, Laura, Martin, Lukas,
        Sabine, Andreas, Johanna""",
    "gefühl": """
        müde, glücklich, traurig, wütend, zufrieden, nervös, überrascht,
        neugierig""",
    "frage": """
        wo der Bahnhof ist, wann das Museum öffnet, warum der Zug nicht kommt,
        wie das Wetter morgen wird, wem dieser Hund gehört, was das Zimmer
        kostet""",
    "satz": """
        {wann} hat {wer} {was} {getan}| {wer} hat {wo} {was} {getan}| {wer}
        wartet {wo} auf {mensch}| {mensch} kommt aus {stadt} und arbeitet als
        {beruf}| {mensch} möchte nächstes Jahr nach {stadt} ziehen| der Zug nach
        {stadt} hat heute Verspätung| morgen wird es in {stadt} {wetter}| in
        {stadt} war es {wann} {wetter}| ich möchte {speise} und ein Glas {trank},
        bitte| haben Sie {was} {wo} gesehen?| können Sie mir sagen, {frage}?| {wer}
        ist heute sehr {gefühl}| warum ist {mensch} so {gefühl}?| bitte bringen
        Sie {was} nach {stadt}| vergiss nicht, {was} mitzunehmen| {wer} trinkt
        {wo} {trank} und isst {speise}| {mensch} und {mensch} haben sich {wo}
        kennengelernt| ich habe {wann} mit {mensch} telefoniert| niemand weiß,
        {frage}| {wer} hat gesagt, dass {mensch} {gefühl} ist| wir treffen uns
        {wo}, wenn {mensch} aus {stadt} zurückkommt| hast du {was} für {mensch}
        {getan}?""",
}

_SPANISH = {
    "quien": """
        la maestra, el médico, mi hermano, mi hermana, nuestra vecina, el
        panadero, la enfermera, mi abuelo, la señora del mercado, el joven
        pintor, su amiga, el vendedor, la doctora, el jardinero, la policía, la
        pintora, el capitán, nuestro jefe""",
    "que": """
        una carta larga, la bicicleta vieja, una lámpara nueva, la maleta
        verde, un cuadro hermoso, el periódico, las llaves, un abrigo negro, la
        radio rota, un ramo de flores, el violín, un libro interesante, el
        paraguas rojo, una caja grande, el regalo, la fotografía, una silla de
        madera, el mapa""",
    "hizo": """
        compró, perdió, encontró, arregló, vendió, olvidó, buscó, trajo,
        dibujó, pagó, vio, recogió""",
    "hecho": """
        comprado, perdido, encontrado, arreglado, vendido, olvidado, buscado,
        traído, dibujado, pagado, visto, recogido""",
    "donde": """
        en el jardín, en la cocina, en la estación, delante del ayuntamiento,
        detrás de la iglesia, en el mercado, en la escuela, al lado de la
        fuente, en la playa, en el museo, sobre el puente, en un pueblo
        pequeño, cerca del río""",
    "cuando": """
        ayer, esta mañana, el lunes, el fin de semana, la semana pasada, en
        verano, por la tarde, anoche, antes del desayuno, después del trabajo,
        en Navidad, en octubre""",
    "ciudad": """
        Madrid, Barcelona, Sevilla, Valencia, Granada, Bilbao, Málaga, Toledo,
        Buenos Aires, Bogotá, Lima, Salamanca""",
    "tiempo": """
        frío y viento, mucho sol, mucho calor, mal tiempo, buen tiempo, un poco
        de fresco""",
    "comida": """
        sopa de verduras, pescado fresco, pan con queso, una ensalada, arroz
        con pollo, tarta de manzana, una tortilla de patatas, jamón y
        aceitunas""",
    "bebida": """
        café, té, agua, leche, zumo de naranja, cerveza, vino tinto""",
    "oficio": """
        maestro, ingeniero, cocinero, jardinero, músico, carpintero,
        periodista, farmacéutico""",
    "persona": """
        Ana, Pedro, María, Tomás, Julia, Miguel, Laura, Carlos, Lucía, Antonio,
        Carmen, Pablo""",
    "pregunta": """
        dónde está la estación, cuándo abre el museo, por qué no llega el tren,
        qué tiempo hará mañana, de quién es este perro, cuánto cuesta la
        habitación""",
    "frase": """
        {cuando} {quien} {hizo} {que}| {quien} {hizo} {que} {donde}| {quien}
        espera a {persona} {donde}| {persona} es de {ciudad} y trabaja como
        {oficio}| {persona} quiere vivir en {ciudad} el año próximo| el tren de
        {ciudad} llega hoy con retraso| mañana hará {tiempo} en {ciudad}| en
        {ciudad} hizo {tiempo} {cuando}| quiero {comida} y un vaso de {bebida}, por
        favor| ¿ha visto usted {que} {donde}?| ¿puede decirme {pregunta}?| {quien}
        dice que {persona} está en {ciudad}| ¿por qué no ha {hecho} {persona}
        {que}?| por favor, lleve {que} a {ciudad}| no olvides traer {que}| {quien}
        bebe {bebida} y come {comida} {donde}| {persona} y {persona} se conocieron
        {donde}| hablé por teléfono con {persona} {cuando}| nadie sabe {pregunta}|
        {persona} no ha {hecho} {que} todavía| nos vemos {donde} cuando {persona}
        vuelva de {ciudad}| {quien} ha {hecho} {que} para {persona}| {persona} nos
        contó que {quien} {hizo} {que}""",
}

_FRENCH = {
    "qui": """
        la maîtresse, le médecin, mon frère, ma sœur, notre voisine, le
        boulanger, la musicienne, mon grand-père, la vieille dame, le jeune
        peintre, son amie, le vendeur, la directrice, le jardinier, la police,
        la fleuriste, le capitaine, notre chef""",
    "quoi": """
        une longue lettre, le vieux vélo, une nouvelle lampe, la valise verte,
        un beau tableau, le journal, la clé, un manteau noir, la radio cassée,
        un bouquet de fleurs, le violon, un livre passionnant, le parapluie
        rouge, une grande boîte, le cadeau, la photographie, une chaise en
        bois, la carte""",
    "fait": """
        acheté, perdu, trouvé, réparé, vendu, oublié, cherché, apporté,
        dessiné, payé, vu, caché""",
    "ou": """
        dans le jardin, dans la cuisine, à la gare, devant la mairie, derrière
        l'église, au marché, à l'école, près de la fontaine, à la plage, au
        musée, sur le pont, dans un petit village, au bord de la rivière""",
    "quand": """
        hier, ce matin, lundi dernier, la semaine dernière, pendant l'été, hier
        soir, avant le petit déjeuner, après le travail, à Noël, au mois
        d'octobre""",
    "ville": """
        Paris, Lyon, Marseille, Bordeaux, Toulouse, Strasbourg, Genève,
        Bruxelles, Montréal, Grenoble, Dijon, Rennes""",
    "temps": """
        froid, très chaud, beau, mauvais, un peu frais, plus doux""",
    "plat": """
        une soupe de légumes, du poisson frais, du pain et du fromage, une
        salade, des pâtes aux tomates, une tarte aux pommes, du riz et du
        poulet, une omelette""",
    "boisson": """
        du café, du thé, de l'eau, du lait, du jus d'orange, de la bière, du
        vin rouge""",
    "metier": """
        professeur, ingénieur, cuisinier, jardinier, musicien, menuisier,
        journaliste, pharmacien""",
    "nom": """
        Anne, Pierre, Marie, Thomas, Julie, Michel, Laura, Martin, Sophie,
        Antoine, Claire, Nicolas""",
    "question": """
        où se trouve la gare, quand le musée ouvre, pourquoi le train n'arrive
        pas, quel temps il fera demain, à qui est ce chien, combien coûte la
        chambre""",
    "phrase": """
        {quand}, {qui} a {fait} {quoi}| {qui} a {fait} {quoi} {ou}| {qui} attend
        {nom} {ou}| {nom} habite à {ville} et travaille comme {metier}| {nom}
        voudrait vivre à {ville} l'année prochaine| le train de {ville} a du
        retard aujourd'hui| demain, il fera {temps} à {ville}| il faisait {temps} à
        {ville} {quand}| je voudrais {plat} et {boisson}, s'il vous plaît|
        avez-vous vu {quoi} {ou}?| pouvez-vous me dire {question}?| {qui} dit que
        {nom} est à {ville}| pourquoi {nom} n'a pas {fait} {quoi}?| apportez {quoi}
        à {ville}, s'il vous plaît| n'oublie pas de prendre {quoi}| {qui} boit
        {boisson} et mange {plat} {ou}| {nom} et {nom} se sont rencontrés {ou}|
        j'ai parlé avec {nom} au téléphone {quand}| personne ne sait {question}|
        {nom} n'a pas encore {fait} {quoi}| nous attendons {ou} parce que {nom}
        revient de {ville}| {qui} a {fait} {quoi} pour {nom}| {nom} raconte que
        {qui} a {fait} {quoi}""",
}

_ITALIAN = {
    "chi": """
        la maestra, il medico, mio fratello, mia sorella, la nostra vicina, il
        fornaio, la musicista, mio nonno, la vecchia signora, il giovane
        pittore, la sua amica, il venditore, la dottoressa, il giardiniere, la
        polizia, la fioraia, il capitano, il nostro capo""",
    "cosa": """
        una lunga lettera, la vecchia bicicletta, una lampada nuova, la valigia
        verde, un bel quadro, il giornale, la chiave, un cappotto nero, la
        radio rotta, un mazzo di fiori, il violino, un libro interessante,
        l'ombrello rosso, una grande scatola, il regalo, la fotografia, una
        sedia di legno, la carta geografica""",
    "fatto": """
        comprato, perso, trovato, riparato, venduto, dimenticato, cercato,
        portato, disegnato, pagato, visto, nascosto""",
    "dove": """
        in giardino, in cucina, alla stazione, davanti al municipio, dietro la
        chiesa, al mercato, a scuola, vicino alla fontana, in spiaggia, al
        museo, sul ponte, in un piccolo paese, sulla riva del fiume""",
    "quando": """
        ieri, stamattina, lunedì scorso, la settimana scorsa, durante l'estate,
        ieri sera, prima di colazione, dopo il lavoro, a Natale, nel mese di
        ottobre""",
    "citta": """
        Roma, Milano, Torino, Napoli, Firenze, Venezia, Bologna, Palermo,
        Verona, Genova, Pisa, Trieste""",
    "tempo": """
        freddo, molto caldo, bello, brutto, un po' fresco, più mite""",
    "piatto": """
        una zuppa di verdure, pesce fresco, pane e formaggio, un'insalata,
        pasta al pomodoro, una torta di mele, riso con il pollo, una frittata
        di patate""",
    "bevanda": """
        un caffè, un tè, dell'acqua, del latte, una birra, un succo d'arancia,
        del vino rosso""",
    "mestiere": """
        maestro, ingegnere, cuoco, giardiniere, musicista, falegname,
        giornalista, farmacista""",
    "nome": """
        Anna, Pietro, Maria, Tommaso, Giulia, Michele, Laura, Martino, Lucia,
        Antonio, Chiara, Paolo""",
    "domanda": """
        dov'è la stazione, quando apre il museo, perché il treno non arriva,
        che tempo farà domani, di chi è questo cane, quanto costa la camera""",
    "frase": """
        {quando} {chi} ha {fatto} {cosa}| {chi} ha {fatto} {cosa} {dove}| {chi}
        aspetta {nome} {dove}| {nome} viene da {citta} e lavora come {mestiere}|
        {nome} vorrebbe vivere a {citta} l'anno prossimo| il treno da {citta} è in
        ritardo oggi| domani sarà {tempo} a {citta}| {quando} il tempo a {citta}
        era {tempo}| vorrei {piatto} e {bevanda}, per favore| ha visto {cosa}
        {dove}?| può dirmi {domanda}?| {chi} dice che {nome} è a {citta}| perché
        {nome} non ha {fatto} {cosa}?| per favore, porti {cosa} a {citta}| non
        dimenticare di prendere {cosa}| {chi} beve {bevanda} e mangia {piatto}
        {dove}| {nome} e {nome} si sono conosciuti {dove}| ho parlato con {nome} al
        telefono {quando}| nessuno sa {domanda}| {nome} non ha ancora {fatto}
        {cosa}| ci vediamo {dove} quando {nome} torna da {citta}| {chi} ha {fatto}
        {cosa} per {nome}| {nome} racconta che {chi} ha {fatto} {cosa}""",
}


def _templates(text):
    return tuple(" ".join(part.split()) for part in text.split("|"))


def _grammar(slots):
    """Split the lists; the last one holds the templates."""
    *words, (_, templates) = slots.items()
    return _templates(templates), {name: entries(text) for name, text in words}


#: Templates, and the entries of their slots, by the language's code.
GRAMMARS = {
    "de": _grammar(_GERMAN),
    "es": _grammar(_SPANISH),
    "fr": _grammar(_FRENCH),
    "it": _grammar(_ITALIAN),
}

_SLOT = re.compile(r"\{(\w+)\}")


def random_sentence(rng, language):
    """Draw a sentence: cased and punctuated.

    Arguments
    ---------
    rng : numpy.random.Generator
        Where the draws come from.
    language : str
        ``de``, ``es``, ``fr`` or ``it``.

    Returns
    -------
    str
        One sentence.

    Example
    -------
    >>> import numpy
    >>> sentence = random_sentence(numpy.random.default_rng(1), "es")
    >>> sentence[-1] in ".?"
    True
    """
    templates, words = GRAMMARS[language]
    used = set()

    def entry(slot):
        """Draw a word that the sentence does not have yet."""
        while True:
            choices = words[slot[1]]
            drawn = choices[rng.integers(len(choices))]
            if drawn not in used:
                used.add(drawn)
                return drawn

    text = _SLOT.sub(entry, templates[rng.integers(len(templates))])
    # Spanish begins a question with a sign of its own.
    first = 1 if text[0] == "¿" else 0
    text = text[:first] + text[first].upper() + text[first + 1 :]
    if text[-1] != "?":
        return f"{text}."
    return f"{text[:-1]} ?" if language == "fr" else text


def grammar_checksum(language):
    """Sum up a language's words and templates, to know when they change.

    Arguments
    ---------
    language : str
        ``de``, ``es``, ``fr`` or ``it``.

    Returns
    -------
    int
        A CRC-32.

    Example
    -------
    >>> grammar_checksum("de") == grammar_checksum("it")
    False
    """
    return zlib.crc32(repr(GRAMMARS[language]).encode())
