"""The words of the mini corpus: what the sentences' slots are filled with.

Chosen so that speech alone decides the spelling: no names with two usual
spellings, few homophones, nothing that British and American English write
differently. Each entry is what stands between two commas.
"""


def entries(text):
    """Split a list at its commas.

    Arguments
    ---------
    text : str
        What stands between two commas is an entry.

    Returns
    -------
    tuple of str
        The entries, with single spaces.

    Example
    -------
    >>> entries("New York,  Rome")
    ('New York', 'Rome')
    """
    return tuple(" ".join(entry.split()) for entry in text.split(","))


WOMAN = entries("""
    Margaret, Emma, Olivia, Victoria, Jessica, Laura, Amanda, Julia, Helen,
    Martha, Alice, Rosemary, Patricia, Barbara, Linda, Susan, Nancy, Karen,
    Donna, Sandra, Carol, Sharon, Angela, Melissa, Brenda, Pamela, Virginia,
    Christine, Janet, Maria, Heather, Diana, Joyce, Joan, Judith, Cheryl,
    Jennifer, Samantha, Natalie, Grace, Charlotte, Eleanor, Beatrice, Clara,
    Daisy, Florence, Georgia, Ivy, Josephine, Lucy, Miranda, Penelope, Ruth,
    Stella, Ursula, Veronica, Wendy, Amelia, Bridget, Cynthia""")

MAN = entries("""
    Peter, Thomas, Michael, William, Richard, Charles, Daniel, Matthew,
    Anthony, Mark, Donald, Andrew, Joshua, Kenneth, Kevin, George, Edward,
    Ronald, Timothy, Jason, Ryan, Jacob, Gary, Jonathan, Larry, Justin, Scott,
    Brandon, Benjamin, Samuel, Gregory, Frank, Alexander, Raymond, Patrick,
    Jack, Dennis, Tyler, Adam, Henry, Nathan, Douglas, Zachary, Walter, Kyle,
    Harold, Arthur, Albert, Oliver, Oscar, Leonard, Martin, Felix, Hugo,
    Simon, Victor, Winston, Rupert, Graham, Dominic""")

SURNAME = entries("""
    Johnson, Williams, Jones, Miller, Davis, Wilson, Anderson, Taylor, Jackson,
    White, Harris, Thompson, Martinez, Robinson, Lewis, Walker, Hall, Young,
    King, Wright, Hill, Green, Adams, Baker, Nelson, Carter, Mitchell, Roberts,
    Turner, Phillips, Campbell, Parker, Evans, Edwards, Collins, Stewart,
    Morris, Murphy, Cook, Rogers, Morgan, Cooper, Peterson, Ward, Richardson,
    Watson, Brooks, Wood, Bennett, Hughes, Foster, Sanders, Powell, Patterson,
    Butler, Fisher, Hamilton, Sullivan, Woods, Hunter, Mason, Kennedy, Marshall,
    Crawford, Gibson, Palmer, Hudson, Spencer, Fletcher, Armstrong""")

TITLE = entries("Doctor, Professor, Captain, Judge, Inspector, Sergeant")

CITY = entries("""
    London, Boston, Chicago, Dublin, Paris, Berlin, Madrid, Lisbon, Vienna,
    Athens, Cairo, Tokyo, Sydney, Toronto, Montreal, Dallas, Houston, Denver,
    Seattle, Portland, Atlanta, Miami, Detroit, Phoenix, Manchester, Liverpool,
    Oxford, Cambridge, Bristol, Glasgow, Edinburgh, Cardiff, Belfast, Brighton,
    Leeds, Nottingham, Plymouth, Rome, Milan, Venice, Naples, Geneva, Zurich,
    Munich, Hamburg, Frankfurt, Amsterdam, Brussels, Copenhagen, Stockholm,
    Oslo, Helsinki, Warsaw, Prague, Budapest, Moscow, Istanbul, Dubai, Mumbai,
    Singapore, Melbourne, Vancouver, Philadelphia, Baltimore, Cleveland,
    Memphis, Nashville, Orlando, Sacramento, San Francisco, Los Angeles,
    New York, Washington, Barcelona""")

COUNTRY = entries("""
    France, Germany, Spain, Italy, Portugal, Ireland, Scotland, Norway, Sweden,
    Denmark, Finland, Poland, Austria, Switzerland, Belgium, Hungary, Greece,
    Turkey, Egypt, Kenya, Morocco, India, China, Japan, Korea, Thailand,
    Vietnam, Australia, New Zealand, Canada, Mexico, Brazil, Argentina, Chile,
    Peru, Cuba, Iceland, Nigeria, South Africa, Indonesia""")

NATIONALITY = entries("""
    French, German, Spanish, Italian, Portuguese, Irish, Swedish, Dutch,
    Polish, Turkish, Egyptian, Indian, Chinese, Japanese, Australian, Canadian,
    Mexican, Brazilian, African, Russian, American, British, European""")

MONTH = entries("""
    January, February, March, April, May, June, July, August, September,
    October, November, December""")

DAY = entries("""
    Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday""")

SEASON = entries("spring, summer, autumn, winter")

FEW = entries("two, three, four, five, six, seven, eight, nine, ten")

TEENS = entries("""
    eleven, twelve, thirteen, fourteen, fifteen, sixteen, seventeen, eighteen,
    nineteen""")

TENS = entries("""
    twenty, thirty, forty, fifty, sixty, seventy, eighty, ninety""")

UNIT = entries("one, two, three, four, five, six, seven, eight, nine")

ORDINAL = entries("""
    first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth,
    twelfth, fifteenth, twentieth, thirtieth""")

JOB = entries("""
    doctor, nurse, teacher, lawyer, engineer, farmer, carpenter, plumber,
    electrician, mechanic, pilot, sailor, soldier, painter, sculptor, musician,
    actor, dancer, singer, writer, poet, journalist, editor, photographer,
    librarian, scientist, chemist, biologist, astronomer, historian, surgeon,
    dentist, pharmacist, veterinarian, architect, builder, gardener, butcher,
    tailor, barber, hairdresser, waiter, cashier, manager, secretary,
    accountant, banker, detective, policeman, firefighter, postman, driver,
    conductor, fisherman, shepherd, blacksmith, watchmaker, puppeteer,
    translator, clerk, inspector, professor, student, priest, bishop, mayor,
    senator, ambassador, merchant, guide, referee, swimmer, runner, goalkeeper,
    drummer, violinist, magician, comedian, juggler, inventor, explorer""")

RELATIVE = entries("""
    mother, father, sister, brother, grandmother, grandfather, uncle, cousin,
    nephew, niece, daughter, husband, wife, best friend, boss, landlord,
    roommate, assistant, partner, teammate, stepfather, godmother,
    bridesmaid""")

CREATURE = entries("""
    dog, cat, puppy, kitten, pony, donkey, goat, sheep, lamb, rabbit, hamster,
    parrot, pigeon, sparrow, eagle, falcon, owl, robin, swan, goose, duck,
    chicken, rooster, turkey, fox, wolf, badger, squirrel, hedgehog, mouse,
    elephant, giraffe, zebra, lion, tiger, leopard, monkey, gorilla, kangaroo,
    penguin, dolphin, turtle, crocodile, lizard, snake, frog, spider, beetle,
    butterfly, camel, buffalo, ox, beaver, raccoon, panther, peacock""")

FOOD = entries("""
    bread, butter, cheese, ham, bacon, beef stew, roast chicken, salmon, tuna,
    lobster, shrimp, rice, noodles, spaghetti, lasagna, pizza, potatoes,
    carrots, onions, spinach, broccoli, cabbage, lettuce, cucumber, mushrooms,
    pumpkin soup, tomato soup, garlic bread, pancakes, waffles, porridge,
    yogurt, honey, strawberry jam, peanut butter, apple pie, cherry pie,
    chocolate cake, lemon tart, vanilla pudding, ginger biscuits,
    blueberry muffins, cinnamon rolls, grapes, peaches, plums, oranges,
    bananas, raspberries, pineapple, mango, melon, walnuts, almonds, popcorn,
    fried eggs, scrambled eggs, sausages, meatballs, dumplings, curry, lentils,
    black beans, sweet corn, avocado salad""")

DRINK = entries("""
    coffee, black tea, green tea, milk, orange juice, apple juice, lemonade,
    mineral water, hot chocolate, cider, champagne, red wine, white wine,
    ginger ale, tomato juice, cold water, peppermint tea, brandy""")

THING = entries("""
    umbrella, suitcase, backpack, wallet, purse, necklace, bracelet, ring,
    watch, scarf, jacket, sweater, raincoat, leather belt, pair of gloves,
    pair of boots, pair of scissors, hammer, screwdriver, ladder, bucket,
    broom, candle, lantern, flashlight, battery, radio, television, telephone,
    camera, telescope, microscope, computer, keyboard, printer, microphone,
    guitar, violin, trumpet, piano, drum, flute, cello, notebook, dictionary,
    newspaper, magazine, envelope, postcard, stamp, calendar, map, compass,
    bicycle, motorcycle, canoe, tent, sleeping bag, fishing rod, tennis racket,
    football, chess set, puzzle, doll, kite, mirror, pillow, blanket, curtain,
    carpet, armchair, sofa, bookshelf, cupboard, lamp, kettle, teapot,
    frying pan, saucepan, blender, toaster, refrigerator, vase, basket, barrel,
    rope, hose, shovel, lawn mower, wheelbarrow, clock, statue, portrait,
    painting, diary, key, padlock, toolbox, helmet, microwave, parcel, jar,
    bottle, mug, tray, napkin, button, needle, thimble, ribbon""")

MATERIAL = entries("""
    wooden, golden, silver, plastic, rubber, glass, copper, bronze, marble,
    leather, cotton, velvet, silk, ivory, paper, cardboard, iron""")

COLOUR = entries("""
    red, blue, green, yellow, orange, purple, pink, brown, black, white,
    turquoise, scarlet, beige, crimson, pale blue, dark green, bright yellow""")

QUALITY = entries("""
    old, new, tiny, huge, heavy, broken, expensive, cheap, beautiful, ugly,
    strange, ordinary, antique, modern, enormous, fragile, dusty, shiny, rusty,
    elegant, comfortable, useless, useful, valuable, famous, remarkable,
    peculiar, delicate, magnificent, simple, battered, handmade, spotless,
    crooked, hollow, curious, second-hand, splendid, narrow, gigantic""")

MOOD = entries("""
    happy, sad, angry, tired, nervous, excited, proud, jealous, lonely, bored,
    surprised, confused, worried, grateful, curious, hungry, thirsty, sleepy,
    calm, cheerful, ashamed, embarrassed, furious, delighted, disappointed,
    hopeful, patient, polite, suspicious, stubborn, generous, terrified,
    relieved, optimistic, impatient, miserable, astonished, homesick""")

CHARACTER = entries("""
    young, elderly, friendly, clever, honest, brave, shy, careless, talented,
    quiet, noisy, ambitious, gentle, cautious, cunning, loyal, wealthy, humble,
    mysterious, charming, lazy, gifted, foolish, eccentric, sensible,
    absent-minded, hardworking, cheerful, reliable, forgetful""")

PLACE = entries("""
    kitchen, garden, cellar, attic, bathroom, bedroom, balcony, hallway,
    garage, library, museum, hospital, pharmacy, bakery, supermarket, market,
    post office, police station, railway station, airport, bus stop, car park,
    hotel, restaurant, cafe, cinema, stadium, gymnasium, swimming pool,
    playground, school, university, laboratory, factory, warehouse, office,
    bank, church, cathedral, monastery, castle, palace, fortress, lighthouse,
    bridge, tunnel, canal, pier, beach, island, village, farm, orchard,
    vineyard, forest, meadow, valley, mountain, waterfall, desert, swamp,
    cave, lake, river, fountain, cemetery, embassy, courtroom, studio,
    workshop, greenhouse, stable, barn, windmill, zoo, circus, aquarium,
    town hall, shopping mall, bookshop, barber shop, fire station, construction
    site, parking lot, campsite, courtyard, terrace, corridor, elevator""")

LANDMARK = entries("""
    bakery, library, museum, hospital, pharmacy, supermarket, post office,
    police station, railway station, bus stop, hotel, cinema, stadium, school,
    church, cathedral, town hall, old bridge, water tower, petrol station,
    traffic lights, roundabout, crossroads, fountain, war memorial, park gates,
    canal, bookshop, bank, embassy, tennis courts, shoe shop, car wash""")

STREET = entries("""
    Church Street, High Street, Maple Avenue, Oak Lane, Victoria Road,
    Station Road, Park Avenue, Elm Street, Mill Lane, Queen Street, King Street,
    Cedar Drive, Bridge Street, Castle Road, Garden Terrace, Walnut Street,
    Liberty Square, Market Square, Chestnut Grove, Harvest Lane, Willow Close,
    Abbey Road, Cherry Tree Lane, Lincoln Avenue, Washington Boulevard""")

WEATHER = entries("""
    rain, snow, fog, sunshine, thunder, hail, frost, drizzle, sleet, mist,
    heavy rain, light snow, strong winds, thick fog, scattered showers,
    freezing rain, clear skies, thick clouds, a thunderstorm, a blizzard,
    gusty winds, patchy cloud, warm sunshine, a heat wave""")

WEATHERLY = entries("""
    sunny, cloudy, rainy, windy, foggy, stormy, chilly, humid, freezing, mild,
    bitterly cold, unusually warm, dull, damp, dry, overcast, breezy""")

REGION = entries("""
    the north, the south, the coast, the mountains, the islands, the capital,
    the eastern counties, the western hills, the central valley,
    the highlands, the southern suburbs, the river delta, the lakes,
    the northern border""")

SUBJECT = entries("""
    history, geography, mathematics, physics, chemistry, biology, astronomy,
    philosophy, economics, literature, grammar, music, architecture, law,
    medicine, engineering, psychology, politics, religion, archaeology,
    photography, agriculture, geometry, algebra, poetry, mythology, botany""")

HOBBY = entries("""
    swimming, fishing, sailing, gardening, cooking, painting, knitting,
    reading, writing letters, dancing, singing, hiking, camping, cycling,
    running, skiing, ice skating, horse riding, bird watching, chess,
    basketball, baseball, cricket, tennis, golf, rugby, hockey, volleyball,
    wrestling, gymnastics, juggling, pottery, collecting stamps,
    building model planes, playing the violin, taking photographs, surfing,
    rock climbing, archery, carpentry, baking""")

VEHICLE = entries("""
    bus, train, taxi, ferry, tram, plane, ship, lorry, truck, van, helicopter,
    ambulance, fire engine, tractor, bicycle, motorbike, sailing boat,
    steam engine, police car, delivery van, racing car, submarine""")

BODY = entries("""
    head, shoulder, elbow, wrist, finger, thumb, knee, ankle, stomach, back,
    neck, throat, ear, chest, jaw, left leg, right arm, lower back, forehead""")

ILLNESS = entries("""
    fever, headache, toothache, sore throat, broken arm, cough, bad cold,
    stomach ache, skin rash, sprained ankle, nosebleed, infection, allergy""")

EVENT = entries("""
    wedding, funeral, concert, meeting, conference, exhibition, festival,
    birthday party, graduation, football match, auction, election, parade,
    rehearsal, interview, dinner, picnic, lecture, examination, ceremony,
    marathon, tournament, workshop, fire drill, school play, book club,
    charity dinner, board meeting, press conference, dress rehearsal""")

COMPANY = entries("""
    airline, bank, newspaper, hospital, steel company, car maker,
    publishing house, railway company, insurance company, oil company,
    shipping firm, software company, supermarket chain, energy company,
    film studio, bicycle factory, chocolate factory, phone company,
    furniture maker, construction firm, toy manufacturer, travel agency""")

OFFICIAL = entries("""
    prime minister, president, mayor, governor, finance minister, chief of
    police, health secretary, foreign minister, opposition leader, head teacher,
    union leader, public prosecutor, city council, supreme court, parliament,
    central bank, weather service, education board, transport authority""")

ISSUE = entries("""
    taxes, unemployment, inflation, pollution, immigration, public transport,
    housing, education, crime, climate change, food prices, energy costs,
    road safety, air quality, corruption, poverty, nuclear power, fishing
    rights, minimum wages, pensions, water shortages, student loans,
    plastic waste, hospital funding, broadband access, traffic jams""")

MANNER = entries("""
    slowly, quickly, quietly, carefully, suddenly, patiently, eagerly, calmly,
    nervously, bravely, politely, angrily, secretly, gently, reluctantly,
    cheerfully, silently, awkwardly, gracefully, proudly, hastily, happily,
    thoughtfully, stubbornly, accidentally, deliberately""")

OFTEN = entries("""
    always, usually, often, sometimes, rarely, never, seldom, occasionally,
    frequently, hardly ever, generally, almost never""")

SUBSTANCE = entries("""
    water, oxygen, carbon dioxide, helium, hydrogen, mercury, nickel, zinc,
    gold, silver, iron, copper, salt, sugar, diamond, graphite, granite,
    limestone, clay, sand, rubber, ice, steam, petroleum, ammonia, marble""")

INSTRUMENT = entries("""
    piano, violin, guitar, trumpet, flute, cello, clarinet, harp, organ,
    saxophone, accordion, banjo, trombone, drums, oboe, bagpipes, mandolin""")

PLANT = entries("""
    roses, tulips, daisies, lilies, sunflowers, violets, orchids, daffodils,
    tomatoes, cabbages, strawberries, apple trees, oak trees, pine trees,
    willow trees, cactus plants, ferns, herbs, pumpkins, lavender bushes,
    palm trees, maple trees, grapevines, raspberry bushes""")

ABSTRACT = entries("""
    truth, courage, freedom, justice, patience, friendship, wisdom, honesty,
    curiosity, experience, kindness, ambition, imagination, knowledge, silence,
    luck, memory, progress, discipline, loyalty, beauty, danger, success,
    failure, happiness, sorrow, envy, pride, forgiveness, gratitude""")

LANGUAGE = entries("""
    French, German, Spanish, Italian, Portuguese, Swedish, Dutch, Polish,
    Turkish, Arabic, Chinese, Japanese, Russian, Greek, Hebrew, Latin, Welsh,
    Hungarian, Danish, Norwegian, Hindi, Korean""")

GROUP = entries("""
    prisoners, soldiers, settlers, tourists, servants, officers, citizens,
    merchants, pilgrims, strangers, rebels, ancestors, scholars, visitors,
    workers, witnesses, refugees, students, inhabitants, sailors, thieves,
    peasants, ministers, reporters, volunteers, colonists, hunters, guards,
    relatives, opponents, survivors, descendants, members, inspectors""")

INSTITUTION = entries("""
    government, committee, court, commission, army, navy, church, jury,
    kingdom, empire, colony, university, hospital, parliament, prison,
    monastery, company, department, republic, assembly, ministry, tribe,
    orchestra, expedition, police force, royal family, trade union""")

MATTER = entries("""
    decision, discovery, question, treaty, agreement, murder, accident,
    rebellion, invention, petition, punishment, sentence, escape, argument,
    trial, investigation, promise, secret, legend, journey, mistake, proposal,
    experiment, inheritance, disappearance, quarrel, revolution, explosion,
    robbery, confession, invitation, prophecy, translation, manuscript,
    document, contract, budget, testimony, verdict, inquiry, doctrine, theory,
    tradition, custom, regulation, arrangement, improvement, description,
    measurement, calculation, conclusion, evidence, explanation, campaign""")

NATURE = entries("""
    important, dangerous, ridiculous, obvious, doubtful, necessary, impossible,
    remarkable, unfortunate, temporary, permanent, original, complicated,
    historic, scientific, private, public, legal, illegal, terrible, generous,
    unexpected, delicate, brilliant, serious, harmless, independent, violent,
    extraordinary, sensible, religious, political, practical, mutual, official,
    premature, absurd, profitable, costly, respectable, dreadful, curious,
    universal, accurate, ancient, recent, popular, unusual, sufficient""")

TREATED = entries("""
    considered, rejected, accepted, discussed, investigated, ignored, denied,
    confirmed, announced, postponed, described, condemned, supported, opposed,
    defended, celebrated, remembered, forgotten, concealed, revealed,
    abandoned, approved, published, examined, expected, explained, exaggerated,
    misunderstood, questioned, recorded, settled, regretted, justified,
    permitted, demanded, suspected, predicted, imagined, debated""")

FATE = entries("""
    arrested, rescued, captured, released, punished, rewarded, persuaded,
    deceived, warned, betrayed, protected, welcomed, invited, questioned,
    transferred, forgiven, defeated, employed, dismissed, encouraged,
    insulted, surrounded, separated, executed, educated, elected, adored,
    threatened, robbed, wounded, praised, examined, supplied, conducted""")

STRUCTURE = entries("""
    tower, gate, wall, staircase, roof, chimney, corridor, chamber, cell,
    passage, ceiling, window, cottage, mansion, temple, monument, tavern,
    chapel, hall, dungeon, ditch, pavement, bridge, well, cabin, ladder, yard,
    platform, fence, doorway, basement, fireplace, pillar, arch, balcony""")

PREPOSITION = entries("""
    above, below, behind, beside, beyond, near, against, across, around,
    inside, underneath, opposite, throughout, between the trees and,
    in front of, at the edge of, on the other side of, in the shadow of""")

LINK = entries("""
    although, because, while, before, after, unless, until, whereas, since,
    even though, as soon as, and yet, but, so, whenever""")

OPENING = entries("""
    however, therefore, meanwhile, unfortunately, naturally, of course,
    in fact, for example, at last, on the contrary, nevertheless, as a result,
    in other words, above all, perhaps, apparently, moreover, in the end,
    to everybody's surprise, without doubt, after all, in spite of this,
    by chance, at the same time, strangely enough, as usual, on the whole""")
